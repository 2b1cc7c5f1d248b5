import CMosquitto
import Forwarding
import Provenance

/// From when until when a certificate may be used.
package struct CertificateValidity: Sendable, Equatable {
  /// Seconds since 1970.
  package var notBeforeSeconds: Int64
  /// Seconds since 1970.
  package var notAfterSeconds: Int64

  package init(notBeforeSeconds: Int64, notAfterSeconds: Int64) {
    self.notBeforeSeconds = notBeforeSeconds
    self.notAfterSeconds = notAfterSeconds
  }

  /// Reads the first certificate of a PEM file. Throws a `LinkFailure` of kind `.tls` that names the file.
  package init(ofCertificateAt path: String) throws(LinkFailure) {
    var reason = [CChar](repeating: 0, count: 256)
    var notBefore: Int64 = 0
    var notAfter: Int64 = 0
    guard link_certificate_validity(path, &notBefore, &notAfter, &reason, reason.count) == 0 else {
      let text = String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      throw LinkFailure(kind: .tls, detail: "\(path): no certificate in PEM form (\(text))")
    }
    self.init(notBeforeSeconds: notBefore, notAfterSeconds: notAfter)
  }

  /// Whole days from `now` to the end, rounded down: 0 on the last day, negative afterwards.
  package func daysLeft(at now: Timestamp) -> Int64 {
    // Bounded, so that no date of a certificate is beyond the arithmetic.
    let end = min(max(notAfterSeconds, -CivilDate.lastSecond), CivilDate.lastSecond)
    let seconds = end - now.utcNanoseconds / 1_000_000_000
    return seconds >= 0 ? seconds / 86_400 : -((-seconds + 86_399) / 86_400)
  }
}

/// Says once when a certificate comes to 30, 14, 7 and 1 days of its end, and once when it has ended.
package struct CertificateWatch: Sendable, Equatable {
  /// Days left at which to alert, in the order in which they come.
  package static let thresholdsDays: [Int64] = [30, 14, 7, 1, 0]

  private var announced: Int64?
  private var watched: CertificateValidity?

  package init() {}

  /// The threshold that `validity` has newly come to at `now`, or nil. A renewed certificate starts afresh, and a
  /// clock that is not synchronised says nothing.
  package mutating func check(_ validity: CertificateValidity, at now: Timestamp) -> Int64? {
    if watched != validity {
      watched = validity
      announced = nil
    }
    guard now.synchronised else { return nil }
    let days = validity.daysLeft(at: now)
    guard let reached = Self.thresholdsDays.last(where: { $0 == 0 ? days < 0 : days <= $0 }) else { return nil }
    if let announced, announced <= reached { return nil }
    announced = reached
    return reached
  }
}
