// Preloaded into the binary under test: answers access, open, ioctl and close for /dev/i2c-1 as a bus with one MLX90640 does,
// at register level, so that the binary's own path to i2c-dev runs on a machine without I2C.
//
// I2C_SHIM_EEPROM, I2C_SHIM_FRAME_0, I2C_SHIM_FRAME_1: word files. I2C_SHIM_LOG: a line for each use that a real
// sensor would not survive. I2C_SHIM_FAIL="N:ERRNO:COUNT": so many transactions from the N-th on fail.
// I2C_SHIM_HANG="N": the N-th transaction never returns, as on a bus that a sensor holds low under a bad kernel driver.
// I2C_SHIM_FAULT names a file: while it is there and holds "ERRNO MILLISECONDS", every transaction takes that long and
// fails.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUS "/dev/i2c-1"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint16_t eeprom[832], ram[832], frames[2][834];
static uint16_t status = 0x0010, control = 0x1901;
static double conversions_from;
static unsigned long conversions, transactions, random_state = 1;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void violation(const char *what, unsigned value) {
  const char *path = getenv("I2C_SHIM_LOG");
  FILE *log = path ? fopen(path, "a") : NULL;
  if (log == NULL) return;
  fprintf(log, "%s 0x%04x\n", what, value);
  fclose(log);
}

static void load(const char *variable, uint16_t *words, int count) {
  const char *path = getenv(variable);
  FILE *file = path ? fopen(path, "r") : NULL;
  if (file == NULL) {
    fprintf(stderr, "i2c-shim: %s names no readable file\n", variable);
    _exit(97);
  }
  for (int index = 0; index < count; index++) {
    unsigned word;
    if (fscanf(file, "%u", &word) != 1) {
      fprintf(stderr, "i2c-shim: %s has fewer than %d words\n", variable, count);
      _exit(97);
    }
    words[index] = (uint16_t)word;
  }
  fclose(file);
}

// The recorded frames are of 18 bit; all counts double with each bit of the converter, the PTAT pair is a ratio.
static uint16_t scaled(int index, uint16_t word, int noise) {
  if (index == 768 || index == 800) return word;
  int shift = (control >> 10 & 3) - (frames[0][832] >> 10 & 3);
  int value = (int16_t)word;
  value = shift >= 0 ? value * (1 << shift) : value / (1 << -shift);
  if (index < 768) value += noise;
  return (uint16_t)(value > 32766 ? 32766 : value < -32768 ? -32768 : value);
}

static void convert(void) {
  double period = 2.0 / (double)(1 << (control >> 7 & 7));
  unsigned long due = (unsigned long)((now() - conversions_from) / period);
  if (due > conversions + 2) conversions = due - 2;
  while (conversions < due) {
    int page = (int)(conversions++ & 1);
    for (int index = 0; index < 832; index++) {
      int row = index / 32;
      int pattern = control & 0x1000 ? (row ^ index) & 1 : row & 1;
      if (index < 768 && pattern != page) continue;
      random_state = random_state * 6364136223846793005UL + 1442695040888963407UL;
      ram[index] = scaled(index, frames[page][index], (int)(random_state >> 62) - 1);
    }
    status = (uint16_t)((status & ~7u) | (unsigned)page | 8u);
  }
}

static uint16_t read_word(uint16_t address) {
  if (address >= 0x0400 && address < 0x0740) return ram[address - 0x0400];
  if (address >= 0x2400 && address < 0x2740) return eeprom[address - 0x2400];
  if (address == 0x8000) return status;
  if (address == 0x800D) return control;
  violation("read of an unknown register", address);
  return 0;
}

static void write_word(uint16_t address, uint16_t value) {
  if (address == 0x8000) {
    status = (uint16_t)((status & 7u) | (value & ~7u));
  } else if (address == 0x800D) {
    control = value;
    conversions_from = now();
    conversions = 0;
  } else {
    violation("write to", address);
  }
}

static int scripted_failure(void) {
  const char *script = getenv("I2C_SHIM_FAIL");
  unsigned long first;
  int code;
  unsigned long count;
  if (script == NULL || sscanf(script, "%lu:%d:%lu", &first, &code, &count) != 3) return 0;
  return transactions >= first && transactions < first + count ? code : 0;
}

static int present_failure(void) {
  const char *path = getenv("I2C_SHIM_FAULT");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (file == NULL) return 0;
  int code, milliseconds;
  int fields = fscanf(file, "%d %d", &code, &milliseconds);
  fclose(file);
  if (fields != 2) return 0;
  usleep((useconds_t)milliseconds * 1000);
  return code;
}

static int transact(struct i2c_rdwr_ioctl_data *data) {
  transactions++;
  const char *hang = getenv("I2C_SHIM_HANG");
  if (hang != NULL && transactions >= strtoul(hang, NULL, 10)) {
    // The bus hangs, not the rest of the process.
    pthread_mutex_unlock(&lock);
    for (;;) sleep(1);
  }
  int failure = scripted_failure();
  if (failure == 0) failure = present_failure();
  if (failure != 0) {
    errno = failure;
    return -1;
  }
  struct i2c_msg *write = &data->msgs[0];
  if (data->nmsgs < 1 || data->nmsgs > 2 || (write->flags & I2C_M_RD) != 0 || write->len < 2) {
    violation("transaction of a wrong shape, messages", data->nmsgs);
    errno = EINVAL;
    return -1;
  }
  for (unsigned index = 0; index < data->nmsgs; index++) {
    if (data->msgs[index].flags & ~I2C_M_RD) violation("message flags", data->msgs[index].flags);
    if (data->msgs[index].addr != 0x33) {
      errno = ENXIO;
      return -1;
    }
  }
  convert();
  uint16_t address = (uint16_t)(write->buf[0] << 8 | write->buf[1]);
  if (write->len == 4) write_word(address, (uint16_t)(write->buf[2] << 8 | write->buf[3]));
  if (data->nmsgs == 2) {
    struct i2c_msg *read = &data->msgs[1];
    for (int index = 0; index + 1 < read->len; index += 2) {
      uint16_t word = read_word((uint16_t)(address + index / 2));
      read->buf[index] = (uint8_t)(word >> 8);
      read->buf[index + 1] = (uint8_t)word;
    }
  }
  return (int)data->nmsgs;
}

static void power_up(void) {
  load("I2C_SHIM_EEPROM", eeprom, 832);
  load("I2C_SHIM_FRAME_0", frames[0], 834);
  load("I2C_SHIM_FRAME_1", frames[1], 834);
  for (int index = 0; index < 832; index++) ram[index] = 0x7FFF;
  conversions_from = now();
}

// The virtual machine's bus takes the sensor alone, see Tests/VirtualMachine/cuse-i2c.c.
#ifndef I2C_SENSOR_ALONE
static int bus_descriptor = -1;
static int loaded;

static int open_bus(void) {
  int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  pthread_mutex_lock(&lock);
  if (!loaded) {
    loaded = 1;
    power_up();
  }
  bus_descriptor = real("/dev/null", O_RDWR | O_CLOEXEC);
  int descriptor = bus_descriptor;
  pthread_mutex_unlock(&lock);
  return descriptor;
}

#define OPEN(NAME)                                                        \
  int NAME(const char *path, int flags, ...) {                            \
    va_list arguments;                                                    \
    va_start(arguments, flags);                                           \
    mode_t mode = va_arg(arguments, mode_t);                              \
    va_end(arguments);                                                    \
    if (strcmp(path, BUS) == 0) return open_bus();                        \
    int (*real)(const char *, int, ...) =                                 \
        (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #NAME);         \
    return real(path, flags, mode);                                       \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(NAME)                                                      \
  int NAME(int folder, const char *path, int flags, ...) {                \
    va_list arguments;                                                    \
    va_start(arguments, flags);                                           \
    mode_t mode = va_arg(arguments, mode_t);                              \
    va_end(arguments);                                                    \
    if (strcmp(path, BUS) == 0) return open_bus();                        \
    int (*real)(int, const char *, int, ...) =                            \
        (int (*)(int, const char *, int, ...))dlsym(RTLD_NEXT, #NAME);    \
    return real(folder, path, flags, mode);                               \
  }
OPENAT(openat)
OPENAT(openat64)

int ioctl(int descriptor, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  pthread_mutex_lock(&lock);
  int ours = descriptor >= 0 && descriptor == bus_descriptor;
  int result = -1;
  if (ours && request == I2C_RDWR) {
    result = transact(argument);
  } else if (ours && request == I2C_FUNCS) {
    *(unsigned long *)argument = I2C_FUNC_I2C;
    result = 0;
  } else if (ours) {
    violation("ioctl", (unsigned)request);
    errno = ENOTTY;
  }
  pthread_mutex_unlock(&lock);
  if (ours) return result;
  int (*real)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
  return real(descriptor, request, argument);
}

int access(const char *path, int mode) {
  if (strcmp(path, BUS) == 0) return 0;
  int (*real)(const char *, int) = (int (*)(const char *, int))dlsym(RTLD_NEXT, "access");
  return real(path, mode);
}

int close(int descriptor) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
  pthread_mutex_lock(&lock);
  if (descriptor == bus_descriptor) bus_descriptor = -1;
  pthread_mutex_unlock(&lock);
  return real(descriptor);
}
#endif
