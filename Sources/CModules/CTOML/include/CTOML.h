#pragma once
#ifdef __cplusplus
extern "C" {
#endif
int tg_toml_version(void);
#ifdef __cplusplus
}
#endif
