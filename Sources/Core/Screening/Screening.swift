import Inference
import Thermography
