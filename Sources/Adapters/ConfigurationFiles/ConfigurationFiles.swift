import CTOML
