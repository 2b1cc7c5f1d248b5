#pragma once
#include <stddef.h>
#include <stdint.h>

/// One combined transaction on an open i2c-dev descriptor: `write_count` bytes (at least 1), then, when `read_count`
/// is not 0, a repeated start and `read_count` bytes. Both counts at most 8192 (the kernel's limit).
///
/// Returns the number of messages transferred (1, or 2 with a read), or -1 with errno.
int ci2c_transaction(int descriptor, uint8_t address, const uint8_t *write, size_t write_count, uint8_t *read,
                     size_t read_count);

/// 1 when the adapter can do combined transactions of any length (I2C_FUNC_I2C), 0 when it cannot, -1 with errno.
int ci2c_has_transactions(int descriptor);
