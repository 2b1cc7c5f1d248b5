import Glibc

/// What this thread has used of a processor, in seconds. Other than time on the wall it does not grow while a loaded machine
/// lets the thread wait.
package func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
