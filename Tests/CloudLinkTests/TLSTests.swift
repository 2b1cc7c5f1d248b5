import CloudLink
import Forwarding
import Foundation
import Provenance
import TestSupport
import Testing

@Suite struct TLSTests {
  @Test func bothSidesShowCertificates() async throws {
    let authority = try TestAuthority()
    let broker = try authority.broker(try authority.issue("server"))
    try await broker.start()
    let probe = try LinkProbe()
    try await probe.connect(authority.settings(broker.port, try authority.issue("unit-1")))
    #expect(probe.notices.contains(.secured(protocol: "TLSv1.3")))
    let large = OutgoingMessage(topic: "up/a", payload: [UInt8](repeating: 7, count: 200_000))
    #expect(try await probe.publish(large, token: 1) == .acknowledged(reason: 0x10))
    await probe.client.stop()
  }

  @Test func version12IsEnough() async throws {
    let authority = try TestAuthority()
    let identity = try authority.issue("server")
    let server = try await OpenSSLServer(["-cert", identity.certificate, "-key", identity.key, "-tls1_2"])
    let probe = try LinkProbe()
    // s_server speaks no MQTT: the handshake is what counts, CONNACK never comes.
    probe.client.connect(authority.settings(server.port, nil))
    try await eventually("TLS stands") { probe.notices.contains(.secured(protocol: "TLSv1.2")) }
    await probe.client.stop()
  }

  @Test func version11IsTooOld() async throws {
    let authority = try TestAuthority()
    let server = try authority.issue("server")
    let old = try await OpenSSLServer([
      "-cert", server.certificate, "-key", server.key, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0",
    ])
    let probe = try LinkProbe()
    let failure = try await probe.failure(of: authority.settings(old.port, nil))
    #expect(failure.kind == .tls)
    #expect(failure.detail.contains("no TLS version from 1.2 on"))
    await probe.client.stop()
  }

  @Test func aBrokerOfAnotherAuthorityIsRefused() async throws {
    let authority = try TestAuthority()
    try authority.makeAuthority("stranger")
    let broker = try authority.broker(try authority.issue("server", by: "stranger"))
    try await broker.start()
    let probe = try LinkProbe()
    let failure = try await probe.failure(of: authority.settings(broker.port, try authority.issue("unit-1")))
    #expect(failure.kind == .tls)
    #expect(failure.detail.contains("not signed by the authorities in \(authority.path("ca.pem"))"))
    await probe.client.stop()
  }

  @Test func aBrokerWithAnotherNameIsRefused() async throws {
    let authority = try TestAuthority()
    let broker = try authority.broker(try authority.issue("server", "DNS:elsewhere.example"))
    try await broker.start()
    let probe = try LinkProbe()
    let failure = try await probe.failure(of: authority.settings(broker.port, try authority.issue("unit-1")))
    #expect(
      failure.detail == "TLS with localhost: the broker's certificate is for another name; expected localhost")
    // The same broker under the name that it carries.
    try await probe.connectAtLast(
      authority.settings(broker.port, try authority.issue("unit-2"), serverName: "elsewhere.example"))
    await probe.client.stop()
  }

  @Test func aBrokerByAddressNeedsTheAddressInItsCertificate() async throws {
    let authority = try TestAuthority()
    let probe = try LinkProbe()
    for (names, isGood) in [("DNS:localhost,IP:127.0.0.1", true), ("DNS:localhost", false)] {
      let broker = try authority.broker(try authority.issue("server", names))
      try await broker.start()
      var settings = authority.settings(broker.port, try authority.issue("unit-1"))
      settings.host = "127.0.0.1"
      if isGood {
        try await probe.connect(settings)
        probe.client.disconnect()
        try await eventually("closed") { probe.disconnections.count == 1 }
      } else {
        let failure = try await probe.failure(of: settings)
        #expect(failure.detail.hasSuffix("is for another name; expected 127.0.0.1"))
      }
    }
    await probe.client.stop()
  }

  @Test func anExpiredBrokerIsRefusedWithItsDate() async throws {
    let authority = try TestAuthority()
    let day = { Date(timeIntervalSinceNow: -1 * 86_400).formatted(.iso8601.year().month().day()) }
    let before = day()
    let broker = try authority.broker(try authority.issue("server", days: -1))
    let after = day()
    try await broker.start()
    let probe = try LinkProbe()
    let failure = try await probe.failure(of: authority.settings(broker.port, try authority.issue("unit-1")))
    #expect(failure.kind == .tls)
    #expect(
      [before, after].contains { failure.detail.contains("the broker's certificate expired on \($0)") },
      "\(failure.detail)")
    await probe.client.stop()
  }

  @Test func anExpiredCertificateOfOursIsRotatedWithoutARestart() async throws {
    let authority = try TestAuthority()
    let broker = try authority.broker(try authority.issue("server"))
    try await broker.start()
    let probe = try LinkProbe()
    let identity = try authority.issue("unit-1", days: -1)
    // On a line without any delay libmosquitto ends the handshake and sends CONNECT in one go; the alert is then lost.
    let line = try FaultProxy(to: broker.port, FaultProxy.Plan(latencyMilliseconds: 200))
    let failure = try await probe.failure(of: authority.settings(line.port, identity))
    #expect(failure.kind == .tls)
    #expect(failure.detail.contains("the broker refused our certificate as expired"))
    try authority.replace(identity, by: try authority.issue("unit-1-new"))
    try await probe.connectAtLast(authority.settings(broker.port, identity))
    await probe.client.stop()
  }

  @Test func aMissingCertificateOfOursIsSaidSo() async throws {
    let authority = try TestAuthority()
    let broker = try authority.broker(try authority.issue("server"))
    try await broker.start()
    let probe = try LinkProbe()
    let line = try FaultProxy(to: broker.port, FaultProxy.Plan(latencyMilliseconds: 200))
    let failure = try await probe.failure(of: authority.settings(line.port, nil))
    #expect(failure.kind == .tls)
    #expect(failure.detail.contains("does it ask for a client certificate?"))
    await probe.client.stop()
  }

  @Test func aCertificateOfAnotherAuthorityIsSaidSo() async throws {
    let authority = try TestAuthority()
    let broker = try authority.broker(try authority.issue("server"))
    try await broker.start()
    let probe = try LinkProbe()
    try authority.makeAuthority("stranger")
    let stranger = try authority.issue("unit-9", by: "stranger")
    let line = try FaultProxy(to: broker.port, FaultProxy.Plan(latencyMilliseconds: 200))
    let failure = try await probe.failure(of: authority.settings(line.port, stranger))
    #expect(failure.kind == .tls)
    #expect(failure.detail.contains("the broker does not trust the authority of our certificate"))
    await probe.client.stop()
  }

  @Test func aPlainBrokerOnATLSPortAndTheOtherWayRound() async throws {
    let authority = try TestAuthority()
    let plain = try MosquittoBroker()
    try await plain.start()
    let probe = try LinkProbe()
    let failure = try await probe.failure(of: authority.settings(plain.port, nil))
    #expect(failure.kind == .tls)
    let secure = try authority.broker(try authority.issue("server"))
    try await secure.start()
    let other = try await probe.failure(of: .plain(secure.port))
    #expect(other.kind == .unreachable)
    // Where it ends before it has read what we said, the system says so in its own words.
    let words = ["the broker closed the connection before CONNACK", "Connection reset by peer"]
    #expect(words.contains { other.detail.hasSuffix($0) }, "\(other.detail)")
    await probe.client.stop()
  }

  @Test func unusableFilesAreNamed() async throws {
    let authority = try TestAuthority()
    let good = try authority.issue("unit-1")
    let other = try authority.issue("unit-2")
    try authority.openssl(
      "ec", "-in", good.key, "-out", authority.path("locked.key"), "-aes256", "-passout", "pass:secret")
    let probe = try LinkProbe()
    func detail(_ files: TLSFiles) async throws -> String {
      var settings = authority.settings(1, nil)
      settings.security = .tls(files)
      let failure = try await probe.failure(of: settings)
      #expect(failure.kind == .tls)
      return failure.detail
    }
    let ca = authority.path("ca.pem")
    let missing = authority.path("nothing.pem")
    #expect(try await detail(TLSFiles(authority: missing)).hasPrefix("\(missing): no certificates of authorities"))
    #expect(
      try await detail(TLSFiles(authority: ca, identity: ClientIdentity(certificate: good.key, key: good.key)))
        .hasPrefix("\(good.key): no certificate in PEM form"))
    #expect(
      try await detail(TLSFiles(authority: ca, identity: ClientIdentity(certificate: good.certificate, key: other.key)))
        .hasPrefix("\(other.key): not the key of \(good.certificate)"))
    let locked = authority.path("locked.key")
    #expect(
      try await detail(TLSFiles(authority: ca, identity: ClientIdentity(certificate: good.certificate, key: locked)))
        .hasPrefix("\(locked): no private key in PEM form without a passphrase"))
    await probe.client.stop()
  }

  @Test func theNameIsIndicatedAlthoughAnAddressIsDialled() async throws {
    let authority = try TestAuthority()
    let first = try authority.issue("server", "DNS:other.example")
    let second = try authority.issue("named", "DNS:broker.example")
    let server = try await OpenSSLServer([
      "-cert", first.certificate, "-key", first.key, "-servername", "broker.example", "-cert2", second.certificate,
      "-key2", second.key,
    ])
    let probe = try LinkProbe()
    var settings = authority.settings(server.port, nil, serverName: "broker.example")
    // s_server speaks no MQTT: the handshake is what counts, CONNACK never comes.
    settings.connectTimeoutMilliseconds = 5000
    probe.client.connect(settings)
    try await eventually("TLS stands") { probe.notices.contains(.secured(protocol: "TLSv1.3")) }
    await probe.client.stop()
    #expect(probe.failures.map(\.kind) == [.requested])
  }

  @Test func belowTheClockFloorNothingIsTried() async throws {
    let authority = try TestAuthority()
    struct Frozen: TimeSource {
      func now() -> Timestamp {
        Timestamp(utcNanoseconds: 86_400_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: false)
      }
    }
    let probe = try LinkProbe(time: Frozen())
    var settings = authority.settings(1, nil)
    settings.clockFloorSeconds = 1_700_000_000
    let failure = try await probe.failure(of: settings)
    #expect(failure.kind == .clock)
    #expect(failure.detail.hasPrefix("this clock says 1970-01-02T00:00:00.000Z, before the clock floor"))
    // Without certificates the clock does not matter.
    let broker = try MosquittoBroker()
    try await broker.start()
    var plain = LinkSettings.plain(broker.port)
    plain.clockFloorSeconds = 1_700_000_000
    try await probe.connect(plain)
    await probe.client.stop()
  }
}

@Suite struct CertificateTests {
  private func time(_ seconds: Int64, synchronised: Bool = true) -> Timestamp {
    Timestamp(
      utcNanoseconds: seconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0, synchronised: synchronised)
  }

  @Test func readsTheValidityOfAFile() throws {
    let authority = try TestAuthority()
    let now = Int64(Date().timeIntervalSince1970)
    let validity = try CertificateValidity(ofCertificateAt: try authority.issue("unit-1", days: 20).certificate)
    #expect(abs(validity.notAfterSeconds - now - 20 * 86_400) < 120)
    #expect(abs(validity.notBeforeSeconds - now) < 120)
    #expect((19...20).contains(validity.daysLeft(at: time(now))))
    let ended = try CertificateValidity(ofCertificateAt: try authority.issue("unit-2", days: -1).certificate)
    #expect((-2...(-1)).contains(ended.daysLeft(at: time(now))))
    let missing = authority.path("nothing.pem")
    let failure = #expect(throws: LinkFailure.self) { try CertificateValidity(ofCertificateAt: missing) }
    #expect(failure?.detail == "\(missing): no certificate in PEM form (it cannot be opened)")
  }

  @Test func countsWholeDaysDown() {
    let validity = CertificateValidity(notBeforeSeconds: 0, notAfterSeconds: 10 * 86_400)
    #expect(validity.daysLeft(at: time(0)) == 10)
    #expect(validity.daysLeft(at: time(1)) == 9)
    #expect(validity.daysLeft(at: time(10 * 86_400)) == 0)
    #expect(validity.daysLeft(at: time(10 * 86_400 + 1)) == -1)
    #expect(validity.daysLeft(at: time(11 * 86_400 + 1)) == -2)
  }

  @Test func alertsOnceAtEachThreshold() {
    let end: Int64 = 100 * 86_400
    let validity = CertificateValidity(notBeforeSeconds: 0, notAfterSeconds: end)
    var watch = CertificateWatch()
    var alerts: [Int64] = []
    // Twice a day, from 40 days before the end to 3 days after.
    for half in 0...(43 * 2) {
      let now = end - 40 * 86_400 + Int64(half) * 43_200 + 1
      if let days = watch.check(validity, at: time(now)) { alerts.append(days) }
    }
    #expect(alerts == [30, 14, 7, 1, 0])
    // Renewed, and close to its end again.
    let renewed = CertificateValidity(notBeforeSeconds: 0, notAfterSeconds: end + 100 * 86_400)
    #expect(watch.check(renewed, at: time(end)) == nil)
    #expect(watch.check(renewed, at: time(end + 98 * 86_400)) == 7)
    #expect(watch.check(renewed, at: time(end + 98 * 86_400)) == nil)
    // A clock that nobody vouches for says nothing.
    var unsure = CertificateWatch()
    #expect(unsure.check(validity, at: time(end + 1, synchronised: false)) == nil)
    #expect(unsure.check(validity, at: time(end + 1)) == 0)
  }
}
