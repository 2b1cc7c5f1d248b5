import CloudLink
import Configuration
import Forwarding
import Provenance

// The way to the receiver: name, handshake, round trip.

extension Doctor {
  private static let lookupMilliseconds = 5000

  func nameFinding() -> DoctorFinding {
    guard let host = settings.broker.host else { return .skip(.name, "no broker is configured") }
    do throws(LinkFailure) {
      let addresses = try HostLookup.addresses(of: host, timeoutMilliseconds: Self.lookupMilliseconds)
      return .pass(.name, "\(host): \(addresses.joined(separator: ", "))")
    } catch {
      return .fail(
        .name, "\(error)", mend: "check the spelling of broker.host and the name server: resolvectl query \(host)")
    }
  }

  func tlsFinding() async -> DoctorFinding {
    guard let host = settings.broker.host else { return .skip(.tls, "no broker is configured") }
    guard settings.broker.usesTLS else {
      return isLoopback(host)
        ? .pass(.tls, "not encrypted, and does not leave this machine")
        : .warn(
          .tls, "not encrypted: records and images cross the network readable",
          mend: "[broker] ca_file, certificate_file, key_file")
    }
    var dates = ""
    if let path = settings.broker.certificateFile {
      do throws(LinkFailure) {
        let validity = try CertificateValidity(ofCertificateAt: path)
        let days = validity.daysLeft(at: time.now())
        let end = Timestamp(
          utcNanoseconds: validity.notAfterSeconds * 1_000_000_000, bootID: "", monotonicNanoseconds: 0,
          synchronised: true
        ).rfc3339.prefix(10)
        guard days >= 0 else {
          return .fail(.tls, "\(path) ended on \(end)", mend: "thermograph enroll: have the certificate renewed")
        }
        guard validity.notBeforeSeconds <= time.now().utcNanoseconds / 1_000_000_000 else {
          return .fail(.tls, "\(path) is not valid yet", mend: "see the part clock")
        }
        dates = "; our certificate until \(end), \(days) days"
      } catch {
        return .fail(.tls, "\(error)", mend: "thermograph enroll")
      }
    }
    do throws(LinkFailure) {
      let probe = try await LineProbe.run(linkSettings(host: host), probe: nil, time: time, digests: digests)
      return .pass(.tls, "\(probe.protection) with \(host)\(dates)")
    } catch {
      return .fail(.tls, "\(error)\(dates)", mend: "see the message")
    }
  }

  func receiptFinding() async -> DoctorFinding {
    guard let host = settings.broker.host else { return .skip(.receipt, "no broker is configured") }
    do throws(LinkFailure) {
      let topics = TopicSchema(site: try identifier(settings.device.site), device: try identifier(settings.device.id))
      var generator = SystemRandomNumberGenerator()
      let result = try await LineProbe.run(
        linkSettings(host: host),
        probe: .init(
          message: ProbeMessage(id: RandomIdentifier(using: &generator), at: time.now()), topics: topics,
          receiptMilliseconds: options.receiptMilliseconds), time: time, digests: digests)
      return result.finding(
        broker: "\(host):\(settings.broker.effectivePort)", needsReceipt: settings.broker.confirm == .receipt)
    } catch {
      return .fail(.receipt, "\(error)", mend: "see the message; broker, port, firewall, ACL")
    }
  }

  private func identifier(_ text: String) throws(LinkFailure) -> TopicIdentifier {
    do throws(TopicError) { return try TopicIdentifier(text) } catch {
      throw LinkFailure(kind: .requested, detail: "\(error)")
    }
  }

  private func linkSettings(host: String) throws(LinkFailure) -> LinkSettings {
    do { return try device.linkSettings(host: host) } catch { throw LinkFailure(kind: .tls, detail: "\(error)") }
  }
}

/// How far a probe came.
struct LineProbeResult: Sendable {
  /// e.g. `TLSv1.3`; `none` for plain MQTT.
  var protection = "none"
  /// Milliseconds from the publish to PUBACK and to the receipt; nil when it did not come.
  var acknowledgedMilliseconds: Int?
  var receiptMilliseconds: Int?
  /// The receiver's own name.
  var receiver = ""
  /// Why the broker did not take it.
  var refusal: String?

  /// - Parameter needsReceipt: false where the configuration is content with the broker's word.
  func finding(broker: String, needsReceipt: Bool) -> DoctorFinding {
    if let refusal {
      return .fail(.receipt, "\(broker) refuses the message: \(refusal)", mend: "the broker's ACL must allow up/#")
    }
    guard let acknowledgedMilliseconds else {
      return .fail(.receipt, "\(broker) does not acknowledge a message", mend: "examine the broker's log")
    }
    if let receiptMilliseconds {
      return .pass(
        .receipt,
        "\(broker) took a message in \(acknowledgedMilliseconds) ms, the receipt of \(receiver) came after "
          + "\(receiptMilliseconds) ms")
    }
    if !needsReceipt {
      return .pass(.receipt, "\(broker) took a message in \(acknowledgedMilliseconds) ms; broker.confirm asks no more")
    }
    return .warn(
      .receipt, "\(broker) took a message in \(acknowledgedMilliseconds) ms, but no receipt came",
      mend: "is a receiver running and subscribed, and does the ACL allow dn/# to this device?")
  }
}
