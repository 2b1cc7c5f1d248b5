import ArgumentParser
import Audit
import Configuration
import ConfigurationFiles
import Device
import Forwarding
import Glibc
import LinuxIO
import LocalFiles
import Storage

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Takes configuration, certificates, site key and roster from a prepared folder.",
    discussion: """
      The folder may hold thermograph.toml, conf.d/*.toml, *.pem (certificates), site.key and roster.csv. Everything is \
      checked first; with a mistake in the configuration, or a certificate, key or roster that cannot be read, nothing is \
      installed. Links and special files are refused. A second import of the same folder \
      changes nothing. \(ProvisioningFolder.reportName) is left in the folder, readable on any PC.

      A folder that changes the broker, its authority, or a key is refused while captures wait: it would lead them somewhere \
      else. Deliver or export them first, or say --confirm at the device; at the start of the device such a folder waits. \
      With import.require_signature every file must be signed by the site (Docs/keys.md), --confirm or not.

        thermograph import /boot/firmware/thermograph
        thermograph import /media/stick/thermograph --confirm
        thermograph import /media/stick/thermograph
      """)

  @Argument(help: "The prepared folder.")
  var folder: String

  @Option(name: .long, help: "Where configuration and certificates go.")
  var into = "/etc/thermograph"

  @Option(name: .long, help: "The user who owns site key and roster, when root imports.")
  var owner = "thermograph"

  @Flag(name: .long, help: "Take the folder although it changes broker, authority or key while captures wait.")
  var confirm = false

  func run() throws {
    var provisioning = ProvisioningFolder(
      source: folder, configurationDirectory: into, examine: ProvisioningFolder.examination)
    if geteuid() == 0 { provisioning.asOwner = try Self.asUser(owner) }
    provisioning.isConfirmed = confirm
    let asOwner = provisioning.asOwner
    provisioning.backlog = { settings in Self.backlog(settings, asOwner: asOwner) }
    let time = try SystemClock()
    provisioning.unsigned = { [folder] settings, files, isDemanded in
      ProvisioningFolder.reasonUnsigned(
        files, in: folder, trust: RepositoryTrust(.site, settings, time: time), device: settings.device.id,
        isDemanded: isDemanded)
    }
    let report: ProvisioningFolder.Report
    do {
      report = try provisioning.install()
    } catch {
      printToStandardError("\(error)")
      throw ExitCode.failure
    }
    let installed = report.outcomes.count { $0.result == .installed }
    if installed > 0 {
      // Only now is it known whose state directory it is.
      leaveNote(
        .imported(.provisioning, items: installed),
        ConfigurationFolder(mainFile: into + "/thermograph.toml").read().settings)
    }
    print(report.text.replacing("\r\n", with: "\n"), terminator: "")
    do {
      try provisioning.leave(report)
    } catch {
      // A write-protected stick: the report above is all there is.
      printToStandardError("note: no report in the folder: \(error)")
    }
    guard report.faults.isEmpty else { throw CheckCommand.notUsable }
    guard report.isSuccess else { throw ExitCode.failure }
  }

  /// Counts what waits as the outbox's owner: root must not write where the service could have laid a link.
  private static func backlog(
    _ settings: Settings, asOwner: @Sendable (() throws(FileError) -> Void) throws(FileError) -> Void
  ) -> ProvisioningFolder.Backlog {
    var backlog = ProvisioningFolder.Backlog.none
    do throws(FileError) {
      try asOwner { () throws(FileError) in
        // No outbox yet is nothing that waits; one that cannot be seen may hold everything.
        guard try BoundedFile.exists(settings.paths.stateDirectory + "/" + StateFiles.outbox) else { return }
        do {
          let credentials = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
          let secrets = SecretFiles(credentialsDirectory: credentials)
          let tool = try OutboxTool(OutboxConfiguration(settings, secrets: secrets), time: try SystemClock())
          let accounts = tool.accounts
          func undelivered(_ deliveryClass: DeliveryClass) -> Int {
            [DeliveryState.pending, .awaitingReceipt, .quarantined].reduce(0) { $0 + accounts[deliveryClass, $1].rows }
          }
          let records = undelivered(.capture)
          // An image without its record waits as well.
          backlog = records + undelivered(.image) == 0 ? .none : .captures(max(1, records))
        } catch {
          backlog = .unknown("\(error)")
        }
      }
    } catch {
      backlog = .unknown("\(error)")
    }
    return backlog
  }

  /// Root becomes `name` for the duration of a write.
  static func asUser(
    _ name: String
  ) throws -> @Sendable (() throws(FileError) -> Void) throws(FileError) -> Void {
    guard let entry = getpwnam(name) else {
      throw ValidationError("there is no user \(name); install the package, or name another with --owner")
    }
    let user = entry.pointee.pw_uid
    let group = entry.pointee.pw_gid
    return { (body) throws(FileError) in
      guard setegid(group) == 0, seteuid(user) == 0 else {
        throw FileError(SystemCallError(call: "seteuid", subject: "user \(name)", errorNumber: errno))
      }
      defer {
        // Without its rights back the program could not go on with the rest of the folder.
        if seteuid(0) != 0 || setegid(0) != 0 { Glibc.exit(EXIT_FAILURE) }
      }
      try body()
    }
  }
}
