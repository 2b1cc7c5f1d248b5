import Glibc

/// Why a file could not be read, as the system says it.
struct FileProblem: Error, Sendable {
  var what: String
  var isMissing = false
  var isForbidden = false
}

/// Reads a regular file of at most `maximumBytes`. Does not wait: a pipe or device is refused, not read.
func readFile(_ path: String, maximumBytes: Int) throws(FileProblem) -> [UInt8] {
  let descriptor = try retrying { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) }
  defer { close(descriptor) }
  var status = stat()
  _ = try retrying { fstat(descriptor, &status) }
  switch status.st_mode & S_IFMT {
  case S_IFREG: break
  case S_IFDIR: throw FileProblem(what: "is a directory")
  default: throw FileProblem(what: "is not a regular file")
  }
  // One byte more than allowed tells a file that is too large from one that just fits, also when it grows meanwhile.
  var bytes: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 16_384)
  while bytes.count <= maximumBytes {
    let count = try retrying { read(descriptor, &chunk, chunk.count) }
    if count == 0 { return bytes }
    bytes += chunk.prefix(Int(count))
  }
  throw FileProblem(what: "is larger than \(maximumBytes) bytes")
}

/// Names in `directory`, in byte order.
func listDirectory(_ directory: String, maximumNames: Int) throws(FileProblem) -> [String] {
  guard let stream = opendir(directory) else { throw FileProblem(errno) }
  defer { closedir(stream) }
  var names: [String] = []
  while true {
    errno = 0
    guard let entry = readdir(stream) else {
      if errno != 0 { throw FileProblem(errno) }
      return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
    let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    if name != ".", name != ".." { names.append(name) }
    if names.count > maximumNames { throw FileProblem(what: "holds more than \(maximumNames) files") }
  }
}

/// Permission bits of the file that `path` leads to.
func permissions(of path: String) throws(FileProblem) -> UInt32 {
  var status = stat()
  _ = try retrying { stat(path, &status) }
  return UInt32(status.st_mode) & 0o7777
}

extension FileProblem {
  fileprivate init(_ code: Int32) {
    self.init(
      what: "cannot be read: \(String(cString: strerror(code)))", isMissing: code == ENOENT || code == ENOTDIR,
      isForbidden: code == EACCES || code == EPERM)
  }
}

/// A system call that signals failure with -1, repeated while a signal interrupts it.
private func retrying<Result: SignedInteger>(_ call: () -> Result) throws(FileProblem) -> Result {
  while true {
    let result = call()
    if result != -1 { return result }
    if errno != EINTR { throw FileProblem(errno) }
  }
}
