import Glibc

/// Standard error, by its descriptor: `stderr` is a C global that Swift 6 does not let pass.
package enum StandardError {
  /// Writes all of `bytes`, with one call where the kernel takes them at once, so that lines of several threads do not
  /// mix. A closed standard error leaves nobody to tell.
  package static func write(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { buffer in
      var sent = 0
      do throws(SystemCallError) {
        while sent < buffer.count {
          sent += try systemCall("write", on: "standard error") {
            Glibc.write(STDERR_FILENO, buffer.baseAddress.map { $0 + sent }, buffer.count - sent)
          }
        }
      } catch {
        // As above: nobody hears it.
      }
    }
  }
}
