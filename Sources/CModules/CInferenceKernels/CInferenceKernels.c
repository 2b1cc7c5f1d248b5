#include "CInferenceKernels.h"
