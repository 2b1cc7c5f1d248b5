import CloudLink
import Configuration
import Cryptography
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
        .name, "\(error)", remedy: error.remedy(host: host, port: settings.broker.effectivePort, authority: nil))
    }
  }

  func tlsFinding() async -> DoctorFinding {
    guard let host = settings.broker.host else { return .skip(.tls, "no broker is configured") }
    let link: LinkSettings
    do throws(LinkFailure) { link = try linkSettings(host: host) } catch {
      return .fail(.tls, "\(error)", remedy: "put the files of [broker] where the configuration names them")
    }
    var protection: Result<String, LinkFailure>
    do throws(LinkFailure) {
      protection = .success(try await LinkProbe.run(link, probe: nil, time: time, digests: digests).protection)
    } catch {
      protection = .failure(error)
    }
    return LinkExamination(link: link, now: time.now()).finding(protection)
  }

  func receiptFinding() async -> DoctorFinding {
    guard let host = settings.broker.host else { return .skip(.receipt, "no broker is configured") }
    let link: LinkSettings
    do throws(LinkFailure) { link = try linkSettings(host: host) } catch {
      return .fail(.receipt, "\(error)", remedy: "put the files of [broker] where the configuration names them")
    }
    let rules: ReceiptReader.Rules
    do {
      rules = try ReceiptReader.Rules(
        settings.receipts, site: RepositoryTrust(.site, settings, time: time).keys(for: .receipt))
    } catch {
      return .fail(
        .receipt, "\(error)",
        remedy: "put the receivers' public keys there, in PEM; where a site root is installed, into its list of keys")
    }
    do throws(LinkFailure) {
      var generator = SystemRandomNumberGenerator()
      let topics = try topics()
      let result = try await LinkProbe.run(
        link,
        probe: .init(
          message: ProbeMessage(id: RandomIdentifier(using: &generator), at: time.now()), topics: topics,
          receipts: ReceiptReader(rules, topics: topics, outboxID: nil, verifier: OpenSSLVerifier()),
          receiptMilliseconds: options.receiptMilliseconds), time: time, digests: digests)
      return result.finding(
        broker: "\(host):\(settings.broker.effectivePort)", needsReceipt: settings.broker.delivery.confirm == .receipt)
    } catch {
      return LinkExamination(link: link, now: time.now()).failed(.receipt, error)
    }
  }

  private func topics() throws(LinkFailure) -> TopicSchema {
    do throws(TopicError) { return try device.topics } catch {
      throw LinkFailure(kind: .requested, detail: "\(error)")
    }
  }

  private func linkSettings(host: String) throws(LinkFailure) -> LinkSettings {
    do { return try device.linkSettings(host: host) } catch { throw LinkFailure(kind: .tls, detail: "\(error)") }
  }
}

/// How far a probe came.
struct LinkProbeResult: Sendable {
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
      return .fail(
        .receipt, "\(broker) refuses the message: \(refusal)",
        remedy: "let the broker's ACL allow this device to write tg/v1/SITE/DEVICE/up/#")
    }
    guard let acknowledgedMilliseconds else {
      return .fail(
        .receipt, "\(broker) does not acknowledge a message",
        remedy: "read the broker's log: does it take QoS 1 messages of this device?")
    }
    if let receiptMilliseconds {
      return .pass(
        .receipt,
        "\(broker) took a message in \(acknowledgedMilliseconds) ms, the receipt of \(receiver) came after "
          + "\(receiptMilliseconds) ms")
    }
    if !needsReceipt {
      return .pass(
        .receipt, "\(broker) took a message in \(acknowledgedMilliseconds) ms; broker.confirm asks for no receipt")
    }
    return .warn(
      .receipt, "\(broker) took a message in \(acknowledgedMilliseconds) ms, but no receipt came",
      remedy: "is a receiver running and subscribed, and does the ACL allow dn/# to this device?")
  }
}
