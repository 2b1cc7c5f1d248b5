#include "CTOML.h"
#include <toml++/toml.h>
int tg_toml_version(void) { return TOML_LIB_MAJOR; }
