import CloudLink
import Configuration
import Forwarding
import Identification
import LocalFiles
import Screening
import Storage
import Trust

/// The files that a configuration names, looked at as the start will. Each fault stands where the file is named and says
/// what it prevents; none of them makes the configuration unusable.
package struct NamedFiles {
  private static let noVerdict = "a whole file; until then captures carry no verdict"
  private static let noLine = "a whole file; until then nothing is sent, and captures wait in the outbox"

  private let reading: ConfigurationReading
  private let secrets: SecretFiles
  private let digests = OpenSSLDigests()

  private var settings: Settings { reading.settings }

  package init(_ reading: ConfigurationReading, secrets: SecretFiles) {
    self.reading = reading
    self.secrets = secrets
  }

  /// In the order of the configuration's tables.
  package func faults() -> [ConfigurationFault] {
    keyFaults() + rosterFaults() + modelFaults() + languageFaults() + lineFaults() + receiverKeyFaults()
      + remoteKeyFaults()
  }

  /// Those that no other part of the examination looks at.
  func otherFaults() -> [ConfigurationFault] { rosterFaults() + languageFaults() + remoteKeyFaults() }

  private func fault(_ key: String, _ what: String, expected: String) -> ConfigurationFault {
    let place = reading.origins[key]?.place ?? SourcePlace(file: reading.files.first ?? key)
    // The advice that fits is the one below.
    return ConfigurationFault(at: place, "\(key): \(what.replacing("; check the path", with: ""))", expected: expected)
  }

  /// Without these the device does not start: no pseudonym and no seal could be made.
  private func keyFaults() -> [ConfigurationFault] {
    var faults: [ConfigurationFault] = []
    let expected = "the key file with mode 0600; without it the service does not start"
    func check(_ key: String, _ body: () throws -> Void) {
      do { try body() } catch { faults.append(fault(key, "\(error)", expected: expected)) }
    }
    check("patients.site_key_file") { _ = try secrets.bytes(of: settings.patients.siteKeyFile) }
    check("outbox.key_file") { _ = try secrets.sealingKey(settings.outbox.keyFile) }
    if let older = settings.outbox.olderKeyFile {
      check("outbox.older_key_file") { _ = try secrets.sealingKey(older) }
    }
    return faults
  }

  private func rosterFaults() -> [ConfigurationFault] {
    guard let path = settings.patients.rosterFile else { return [] }
    do throws(FileError) {
      return try RosterReader.read(BoundedFile.read(path, maximumBytes: RosterReader.largestByteCount)).faults.map {
        ConfigurationFault(at: SourcePlace(file: path, line: $0.line, column: $0.column), $0.what)
      }
    } catch {
      let policy = settings.session.unknownTags.rawValue
      return [
        fault(
          "patients.roster_file", "\(error)",
          expected: "the clinic's list; until then every tag is unknown, and unknown_tag = \"\(policy)\" decides")
      ]
    }
  }

  private func modelFaults() -> [ConfigurationFault] {
    var faults: [ConfigurationFault] = []
    func check(_ key: String, _ name: String?, _ load: (ModelFolder) throws(ModelFolderError) -> Void) {
      guard let name else { return }
      do throws(ModelFolderError) {
        try load(ModelFolder(path: settings.paths.modelsDirectory + "/" + name, digests: digests))
      } catch {
        faults.append(fault(key, "\(error)", expected: Self.noVerdict))
      }
    }
    check("screening.model", settings.screening.model) { folder throws(ModelFolderError) in
      _ = try folder.networkForPatients()
    }
    check("quality.model", settings.quality.model) { folder throws(ModelFolderError) in
      _ = try folder.qualityNetwork()
    }
    return faults
  }

  private func languageFaults() -> [ConfigurationFault] {
    SentenceFolder(path: settings.paths.languagesDirectory).book(language: settings.language).warnings.map {
      fault("session.language", $0, expected: "the language's file; until then English is used for what it lacks")
    }
  }

  private func lineFaults() -> [ConfigurationFault] {
    var faults: [ConfigurationFault] = []
    for (key, path) in [
      ("broker.ca_file", settings.broker.caFile), ("broker.certificate_file", settings.broker.certificateFile),
    ] {
      guard let path else { continue }
      do throws(LinkFailure) {
        _ = try CertificateValidity(ofCertificateAt: path)
      } catch {
        faults.append(fault(key, error.detail, expected: Self.noLine))
      }
    }
    for (key, secret) in [
      ("broker.key_file", settings.broker.keyFile), ("broker.password_file", settings.broker.passwordFile),
    ] {
      guard let secret else { continue }
      do {
        let path = try secrets.path(of: secret)
        if try BoundedFile.status(path) == nil {
          faults.append(fault(key, "\(path) does not exist", expected: Self.noLine))
        }
      } catch {
        faults.append(fault(key, "\(error)", expected: Self.noLine))
      }
    }
    return faults
  }

  private func receiverKeyFaults() -> [ConfigurationFault] {
    keyListFaults(
      "delivery.receiver_keys_file", settings.receipts.keysFile,
      expected: "the receivers' public keys in PEM; until then no receipt is believed, and nothing is freed")
  }

  private func remoteKeyFaults() -> [ConfigurationFault] {
    keyListFaults(
      "remote.command_keys_file", settings.remote.commands ? settings.remote.commandKeysFile : nil,
      expected: "the public keys of those who may command, in PEM; until then no command is taken")
      + keyListFaults(
        "remote.configuration_keys_file",
        settings.remote.configuration ? settings.remote.configurationKeysFile : nil,
        expected: "the public keys of those who may configure, in PEM; until then no configuration is taken")
  }

  private func keyListFaults(_ key: String, _ path: String?, expected: String) -> [ConfigurationFault] {
    // Where a site root is installed the file counts no more, and whoever looks says so.
    guard let path, !TrustStore.isSiteRootInstalled(stateDirectory: settings.paths.stateDirectory) else { return [] }
    do throws(KeyFault) {
      _ = try TrustedKeys(listIn: path)
      return []
    } catch {
      return [fault(key, "\(error)", expected: expected)]
    }
  }
}
