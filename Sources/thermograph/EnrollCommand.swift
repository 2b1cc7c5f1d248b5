import ArgumentParser
import ConfigurationFiles
import Device
import Enrolment
import Glibc
import LinuxIO
import LocalFiles
import Provenance

struct EnrollCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enroll",
    abstract: "Makes this device's key and certificate request, installs the certificate, or ends the device's life.",
    discussion: """
      The key is made on the device, mode 0600, and is never replaced and never leaves. The request goes into a folder, of \
      a stick for instance; whoever signs it puts certificate.pem beside it, and ca.pem, the authority of the broker. The \
      certificate is installed only when it fits: this key, this device's id, valid now, signed by issuer.pem or ca.pem. \
      audit.pem is the public half of the key that signs the device's audit log; keep it with the \
      device's papers. provisioning.json is the same request for AWS IoT fleet provisioning. With site-root.json beside it the device \
      trusts that site from then on, and only the keys that the site lists: compare the fingerprint that is shown. \
      metadata/ and targets/ beside it bring the list.

        thermograph enroll --request /media/stick
        thermograph enroll --install /media/stick
        thermograph enroll --install /media/stick --foreign-issuer
        thermograph enroll --decommission --confirm thermograph-001
      """)

  @Option(name: .long, help: "The main configuration file; it says who this device is and where its key lies.")
  var config = ConfigurationFolder.installedMainFile

  @Option(name: .long, help: "Make the key if there is none, and write the certificate request into this folder.")
  var request: String?

  @Option(name: .long, help: "Examine and install the certificate in this folder.")
  var install: String?

  @Flag(name: .long, help: "With --install: an authority that is not in the folder has signed, as AWS IoT does.")
  var foreignIssuer = false

  @Flag(name: .long, help: "With --install: site-root.json takes the place of another site root.")
  var replaceSiteRoot = false

  @Flag(name: .long, help: "Erase keys, roster, outbox and certificate. What is not delivered is lost.")
  var decommission = false

  @Option(name: .long, help: "With --decommission: the device's id, to confirm. Asked for on a terminal otherwise.")
  var confirm: String?

  func validate() throws {
    guard [request != nil, install != nil, decommission].count(where: { $0 }) == 1 else {
      throw ValidationError("say one of --request FOLDER, --install FOLDER and --decommission")
    }
  }

  func run() throws {
    do {
      let enroller = try Enroller(ConfigurationFolder(mainFile: absolute(config)))
      if let request {
        try write(enroller, request)
      } else if let install {
        try take(enroller, install)
      } else {
        try end(enroller)
      }
    } catch let error as ExitCode {
      throw error
    } catch {
      printToStandardError("\(error)")
      throw ExitCode.failure
    }
  }

  /// What is installed beside the configuration is named in it, and there only whole paths count.
  private func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    return String(cString: folder) + "/" + (path.hasPrefix("./") ? String(path.dropFirst(2)) : path)
  }

  private func write(_ enroller: Enroller, _ stick: String) throws {
    let request = try enroller.request(into: stick, time: try SystemClock())
    print("\(try enroller.files().key): \(request.isNew ? "a new key" : "the key that was there")")
    print("\(stick)/\(EnrolmentFolder.requestName): to be signed, CN=\(enroller.device)")
    print("\(stick)/\(EnrolmentFolder.auditName): the audit key, SHA-256 \(request.auditKey); whoever signs keeps it")
    for note in request.notes { printToStandardError("note: \(note)") }
  }

  private func take(_ enroller: Enroller, _ stick: String) throws {
    let (certificate, notes) = try enroller.install(
      from: stick, foreignIssuer: foreignIssuer, replacesSiteRoot: replaceSiteRoot, time: try SystemClock())
    let end = CivilDate(secondsSinceEpoch: certificate.notAfterSeconds).text
    print("\(try enroller.files().certificate): installed, CN=\(certificate.commonName), until \(end)")
    for note in notes { printToStandardError("note: \(note)") }
  }

  private func end(_ enroller: Enroller) throws {
    let device = enroller.device
    if confirm == nil, isatty(STDIN_FILENO) == 1 {
      printToStandardError("This erases, for ever, what is not delivered too:")
      for path in try enroller.filesToErase() { printToStandardError("  \(path)") }
      printToStandardError("Type the device's id to go on:")
    }
    let answer = confirm ?? (isatty(STDIN_FILENO) == 1 ? readLine() : nil)
    guard answer == device else {
      printToStandardError("nothing is erased: --confirm must be the device's id, \(device)")
      throw ExitCode.failure
    }
    for path in try enroller.decommission() { print("erased \(path)") }
    for name in enroller.credentialsToErase {
      printToStandardError("note: the credential \(name) lies with systemd: erase its file in /etc/credstore* too")
    }
    printToStandardError("note: copies of the site key elsewhere still link pseudonyms to tags")
  }
}
