import Provenance
