import Glibc

/// Messages for people go to standard error, so that standard output stays readable by programs.
///
/// Written through the descriptor: `stderr` is a C global that Swift 6 does not let pass.
func printToStandardError(_ line: String) {
  var bytes = Array("\(line)\n".utf8)[...]
  while !bytes.isEmpty {
    let written = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    if written < 0 {
      if errno == EINTR { continue }
      // A closed standard error leaves nobody to tell.
      return
    }
    bytes = bytes.dropFirst(written)
  }
}
