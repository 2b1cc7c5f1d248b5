import ArgumentParser
import CloudLink
import Forwarding

/// How a receiving program reaches a broker: the same words for `thermograph receive` and `thermograph-receiver`.
package struct LinkOptions: ParsableArguments {
  @Option(name: .long, help: "PEM file of the authorities that may sign a broker's certificate; switches TLS on.")
  package var ca: String?

  @Option(name: .long, help: "PEM file of this receiver's certificate.")
  package var certificate: String?

  @Option(name: .long, help: "PEM file of the certificate's key.")
  package var key: String?

  @Flag(name: .long, help: "TLS with the system's authorities, when there is no --ca.")
  package var tls = false

  @Option(name: .long, help: "User name at the broker.")
  package var user: String?

  @Option(name: .long, help: "File with that user's password, one line.")
  package var passwordFile: String?

  package init() {}

  package mutating func validate() throws {
    guard passwordFile == nil || user != nil else {
      throw ValidationError("--password-file is not used without --user; give both or neither")
    }
    guard certificate == nil || key != nil else { throw Self.halfAPair }
  }

  /// A certificate without its key, or a key that belongs to nothing.
  package static let halfAPair = ValidationError("--certificate and --key belong together; give both or neither")

  /// The connection to `broker`, `HOST:PORT`.
  ///
  /// - Parameter allowsPlaintext: to another machine than this one.
  /// - Throws: `ValidationError` with what is wrong and what was expected.
  package func settings(
    of broker: String, clientIdentifier: String, allowsPlaintext: Bool
  ) throws -> LinkSettings {
    let usesTLS = tls || ca != nil || certificate != nil
    guard let address = BrokerAddress(broker, defaultPort: usesTLS ? 8883 : 1883) else {
      throw ValidationError("--broker '\(broker)': expected HOST:PORT, e.g. localhost:1883 or [::1]:1883")
    }
    let identity = certificate.flatMap { certificate in key.map { ClientIdentity(certificate: certificate, key: $0) } }
    var settings = LinkSettings(
      host: address.host, port: address.port,
      security: usesTLS
        ? .tls(TLSFiles(authority: ca, identity: identity)) : .plaintext(beyondLoopback: allowsPlaintext),
      clientIdentifier: clientIdentifier)
    settings.incomingPacketBytesMaximum = 4 << 20
    if let user { settings.credentials = LinkCredentials(userName: user, passwordFile: passwordFile) }
    return settings
  }
}
