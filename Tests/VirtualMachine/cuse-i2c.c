// A real /dev/i2c-1 in user space (CUSE), on which the sensor of the end-to-end tests answers: what the device sees through
// the kernel is what it would see of an adapter with an MLX90640. Variables as in i2c-shim.c.
#define FUSE_USE_VERSION 31
#define I2C_SENSOR_ALONE
#include "../EndToEndTests/Fixtures/i2c-shim.c"

#include <cuse_lowlevel.h>

#define MESSAGES_MAX 2
#define BYTES_MAX 4096

static void bus_open(fuse_req_t request, struct fuse_file_info *file) { fuse_reply_open(request, file); }

// An ioctl's arguments arrive in up to three rounds: the kernel copies what the reply to the round before asked for.
static void transfer(fuse_req_t request, void *argument, const char *in, size_t in_size, size_t out_size) {
  struct i2c_rdwr_ioctl_data data;
  struct iovec wanted[2 + MESSAGES_MAX] = {{argument, sizeof data}};
  if (in_size < sizeof data) {
    fuse_reply_ioctl_retry(request, wanted, 1, NULL, 0);
    return;
  }
  memcpy(&data, in, sizeof data);
  if (data.nmsgs < 1 || data.nmsgs > MESSAGES_MAX) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  struct i2c_msg messages[MESSAGES_MAX];
  size_t table = data.nmsgs * sizeof messages[0];
  wanted[1] = (struct iovec){data.msgs, table};
  if (in_size < sizeof data + table) {
    fuse_reply_ioctl_retry(request, wanted, 2, NULL, 0);
    return;
  }
  memcpy(messages, in + sizeof data, table);
  struct iovec answers[MESSAGES_MAX];
  size_t inputs = 2, outputs = 0, in_expected = sizeof data + table, out_expected = 0;
  for (unsigned index = 0; index < data.nmsgs; index++) {
    if (messages[index].len > BYTES_MAX) {
      fuse_reply_err(request, EINVAL);
      return;
    }
    if (messages[index].flags & I2C_M_RD) {
      answers[outputs++] = (struct iovec){messages[index].buf, messages[index].len};
      out_expected += messages[index].len;
    } else {
      wanted[inputs++] = (struct iovec){messages[index].buf, messages[index].len};
      in_expected += messages[index].len;
    }
  }
  if (in_size < in_expected || out_size < out_expected) {
    fuse_reply_ioctl_retry(request, wanted, inputs, answers, outputs);
    return;
  }
  static uint8_t bytes[MESSAGES_MAX][BYTES_MAX], answer[MESSAGES_MAX * BYTES_MAX];
  const char *given = in + sizeof data + table;
  for (unsigned index = 0; index < data.nmsgs; index++) {
    if (!(messages[index].flags & I2C_M_RD)) {
      memcpy(bytes[index], given, messages[index].len);
      given += messages[index].len;
    }
    messages[index].buf = bytes[index];
  }
  data.msgs = messages;
  int transferred = transact(&data);
  if (transferred < 0) {
    fuse_reply_err(request, errno);
    return;
  }
  size_t size = 0;
  for (unsigned index = 0; index < data.nmsgs; index++) {
    if (!(messages[index].flags & I2C_M_RD)) continue;
    memcpy(answer + size, bytes[index], messages[index].len);
    size += messages[index].len;
  }
  fuse_reply_ioctl(request, transferred, answer, size);
}

static void bus_ioctl(fuse_req_t request, int command, void *argument, struct fuse_file_info *file, unsigned flags,
                      const void *in, size_t in_size, size_t out_size) {
  (void)file;
  if (flags & FUSE_IOCTL_COMPAT) {
    fuse_reply_err(request, ENOSYS);
  } else if ((unsigned)command == I2C_FUNCS) {
    unsigned long functions = I2C_FUNC_I2C;
    struct iovec out = {argument, sizeof functions};
    if (out_size < sizeof functions) {
      fuse_reply_ioctl_retry(request, NULL, 0, &out, 1);
    } else {
      fuse_reply_ioctl(request, 0, &functions, sizeof functions);
    }
  } else if ((unsigned)command == I2C_RDWR) {
    transfer(request, argument, in, in_size, out_size);
  } else {
    violation("ioctl", (unsigned)command);
    fuse_reply_err(request, ENOTTY);
  }
}

int main(void) {
  power_up();
  const char *device[] = {"DEVNAME=i2c-1"};
  struct cuse_info info = {.dev_info_argc = 1, .dev_info_argv = device, .flags = CUSE_UNRESTRICTED_IOCTL};
  const struct cuse_lowlevel_ops operations = {.open = bus_open, .ioctl = bus_ioctl};
  char *arguments[] = {"cuse-i2c", "-f", "-s", NULL};
  return cuse_lowlevel_main(3, arguments, &info, &operations, NULL);
}
