import Glibc
import Trust

/// GET of one file over HTTP 1.1 from a server on this machine.
enum WebFetch {
  private static let timeoutSeconds = 20
  private static let headBytesMaximum = 16_384

  /// nil: the server has no such file (404, or 403 as stores answer). More than `maximumBytes` is a fault, before it is all
  /// read.
  static func get(_ url: String, maximumBytes: Int) throws(MetadataFault) -> [UInt8]? {
    let parts = url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    guard parts.count == 4, parts[0] == "http:", let colon = parts[2].lastIndex(of: ":"),
      let port = UInt16(parts[2][parts[2].index(after: colon)...])
    else { throw .unavailable("\(url): expected http://HOST:PORT/PATH") }
    // A trailing slash of the base and ours make one.
    let path = "/" + parts[3].replacing("//", with: "/")
    let descriptor = try connect(port: port)
    defer { close(descriptor) }
    let request = "GET \(path) HTTP/1.1\r\nHost: \(parts[2])\r\nConnection: close\r\n\r\n"
    guard send(descriptor, request, request.utf8.count, Int32(MSG_NOSIGNAL)) == request.utf8.count else {
      throw .unavailable("\(url): the request could not be sent")
    }
    return try answer(descriptor, url, maximumBytes: maximumBytes)
  }

  private static func connect(port: UInt16) throws(MetadataFault) -> Int32 {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var limit = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard descriptor >= 0, result == 0 else {
      if descriptor >= 0 { close(descriptor) }
      throw .unavailable("127.0.0.1:\(port): no connection")
    }
    return descriptor
  }

  private static func answer(
    _ descriptor: Int32, _ url: String, maximumBytes: Int
  ) throws(MetadataFault) -> [UInt8]? {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .unavailable("\(url): the answer stopped") }
      guard count > 0 else { break }
      bytes += buffer[..<count]
      guard bytes.count <= headBytesMaximum + maximumBytes else {
        throw .content("\(url): more than \(maximumBytes) bytes")
      }
    }
    let end = Array("\r\n\r\n".utf8)
    guard let head = (0...max(0, bytes.count - 4)).first(where: { bytes[$0...].starts(with: end) }) else {
      throw .unavailable("\(url): no answer of HTTP")
    }
    let status = String(decoding: bytes[..<head], as: UTF8.self).split(separator: " ")
    guard status.count > 1, let code = Int(status[1]) else { throw .unavailable("\(url): no answer of HTTP") }
    if code == 404 || code == 403 { return nil }
    guard code == 200 else { throw .unavailable("\(url): status \(code)") }
    let body = Array(bytes[(head + 4)...])
    guard body.count <= maximumBytes else { throw .content("\(url): more than \(maximumBytes) bytes") }
    return body
  }
}
