import Foundation

/// Starts programs in `body` that can be ended by signals: a child inherits the signal mask of the thread that starts it.
package func withOpenSignals(_ body: () throws -> Void) throws {
  var (none, before) = (sigset_t(), sigset_t())
  sigemptyset(&none)
  pthread_sigmask(SIG_SETMASK, &none, &before)
  defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
  try body()
}
