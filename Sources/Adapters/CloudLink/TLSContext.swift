import CMosquitto
import Forwarding
import Provenance

/// The TLS side of one connection attempt, made from the files as they are now.
final class TLSContext {
  private let tls: OpaquePointer
  private let files: TLSFiles
  private let serverName: String

  /// Throws a `LinkFailure` of kind `.tls` that names the file that cannot be used, and why.
  init(files: TLSFiles, host: String) throws(LinkFailure) {
    self.files = files
    serverName = files.serverName ?? host
    var fault = LINK_TLS_NO_FAULT
    var reason = [CChar](repeating: 0, count: 256)
    let made = link_tls_new(
      files.authority, files.identity?.certificate, files.identity?.key, serverName, files.applicationProtocol,
      &fault, &reason, reason.count)
    guard let made else {
      let text = String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      throw LinkFailure(kind: .tls, detail: Self.words(fault, files: files, serverName: serverName, reason: text))
    }
    tls = made
  }

  deinit {
    link_tls_free(tls)
  }

  /// Makes `client` use this context and nothing else.
  func apply(to client: OpaquePointer) throws(LinkLibraryError) {
    try check(
      mosquitto_int_option(client, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0), "MOSQ_OPT_SSL_CTX_WITH_DEFAULTS")
    try check(mosquitto_void_option(client, MOSQ_OPT_SSL_CTX, link_tls_context(tls)), "MOSQ_OPT_SSL_CTX")
  }

  /// Why the handshake did not come to an end, for a person; `log` is what OpenSSL said through libmosquitto.
  func handshakeFailure(log: String?) -> LinkFailure {
    let code = link_tls_verify_error(tls)
    guard code != 0 else {
      return LinkFailure(kind: .tls, detail: "TLS with \(serverName): \(Self.words(forLog: log))")
    }
    let words = String(cString: link_tls_verify_error_text(code))
    let detail: String
    if link_tls_error_is_expired(code) {
      let date = CivilDate(daysSinceEpoch: link_tls_refused_not_after(tls) / 86_400)
      detail = "the broker's certificate expired on \(date.iso8601); it must be renewed (or this clock is wrong)"
    } else if link_tls_error_is_not_yet_valid(code) {
      detail = "the broker's certificate is not valid yet; is this clock right?"
    } else if link_tls_error_is_wrong_name(code) {
      detail = "the broker's certificate is for another name; expected \(serverName)"
    } else if link_tls_error_is_untrusted(code) {
      let store = files.authority.map { "the authorities in \($0)" } ?? "the system's authorities"
      detail = "the broker's certificate is not signed by \(store) (\(words))"
    } else {
      detail = "the broker's certificate was refused: \(words)"
    }
    return LinkFailure(kind: .tls, detail: "TLS with \(serverName): \(detail)")
  }

  private static func words(
    _ fault: link_tls_fault, files: TLSFiles, serverName: String, reason: String
  ) -> String {
    let certificate = files.identity?.certificate ?? ""
    let key = files.identity?.key ?? ""
    switch fault {
    case LINK_TLS_AUTHORITY_FILE:
      return "\(files.authority ?? "system certificates"): no certificates of authorities in it (\(reason))"
    case LINK_TLS_CERTIFICATE_FILE: return "\(certificate): no certificate in PEM form (\(reason))"
    case LINK_TLS_KEY_FILE: return "\(key): no private key in PEM form without a passphrase (\(reason))"
    case LINK_TLS_KEY_MISMATCH: return "\(key): not the key of \(certificate) (\(reason))"
    case LINK_TLS_SERVER_NAME: return "'\(serverName)' is no host name that a certificate can carry (\(reason))"
    case LINK_TLS_APPLICATION_PROTOCOL: return "the ALPN name must have 1 to 255 bytes"
    default: return "no memory for a TLS context (\(reason))"
    }
  }

  private static func words(forLog log: String?) -> String {
    guard let log else { return BrokerConnection.brokenHandshake }
    // OpenSSL's lines look like "error:0A000415:SSL routines::sslv3 alert certificate expired".
    let reason = log.split(separator: ":").last.map(String.init) ?? log
    if reason.contains("alert certificate expired") {
      return "the broker refused our certificate as expired (or its clock is wrong)"
    }
    if reason.contains("unexpected eof") { return BrokerConnection.brokenHandshake }
    if reason.contains("alert unknown ca") { return "the broker does not trust the authority of our certificate" }
    if reason.contains("alert certificate required") || reason.contains("alert handshake failure") {
      return "the broker refused the handshake; does it ask for a client certificate? (\(reason))"
    }
    if reason.contains("alert protocol version") || reason.contains("unsupported protocol") {
      return "the broker offers no TLS version from 1.2 on (\(reason))"
    }
    if reason.contains("wrong version number") { return "the broker does not speak TLS on this port (\(reason))" }
    return reason
  }
}

extension CivilDate {
  /// Year, month and day, e.g. `2026-03-01`.
  var iso8601: String {
    let month = self.month < 10 ? "0\(self.month)" : "\(self.month)"
    let day = self.day < 10 ? "0\(self.day)" : "\(self.day)"
    return "\(year)-\(month)-\(day)"
  }
}
