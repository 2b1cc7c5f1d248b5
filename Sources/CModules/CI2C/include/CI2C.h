#pragma once
#include <linux/i2c-dev.h>
