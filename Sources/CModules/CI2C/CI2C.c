#include "CI2C.h"

#include <errno.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <sys/ioctl.h>

int ci2c_transaction(int descriptor, uint8_t address, const uint8_t *write, size_t write_count, uint8_t *read,
                     size_t read_count) {
  if (write_count == 0 || write_count > 8192 || read_count > 8192) {
    errno = EINVAL;
    return -1;
  }
  struct i2c_msg messages[2] = {
      // The kernel does not write through the buffer of a write message.
      {.addr = address, .flags = 0, .len = (__u16)write_count, .buf = (__u8 *)write},
      {.addr = address, .flags = I2C_M_RD, .len = (__u16)read_count, .buf = read},
  };
  struct i2c_rdwr_ioctl_data transaction = {.msgs = messages, .nmsgs = read_count == 0 ? 1 : 2};
  return ioctl(descriptor, I2C_RDWR, &transaction);
}

int ci2c_has_transactions(int descriptor) {
  unsigned long functions = 0;
  if (ioctl(descriptor, I2C_FUNCS, &functions) < 0) return -1;
  return (functions & I2C_FUNC_I2C) != 0;
}
