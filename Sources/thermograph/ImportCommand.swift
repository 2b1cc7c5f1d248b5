import ArgumentParser
import Configuration
import ConfigurationFiles
import Glibc
import LocalFiles

struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Takes configuration, certificates, site key and roster from a prepared folder.",
    discussion: """
      The folder may hold thermograph.toml, conf.d/*.toml, *.pem (certificates), site.key and roster.csv. Everything is \
      checked first; with a mistake in the configuration nothing is installed. A second import of the same folder \
      changes nothing. \(ProvisioningFolder.reportName) is left in the folder, readable on any PC.

        thermograph import /boot/firmware/thermograph
        thermograph import /media/stick/thermograph
      """)

  @Argument(help: "The prepared folder.")
  var folder: String

  @Option(name: .long, help: "Where configuration and certificates go.")
  var into = "/etc/thermograph"

  @Option(name: .long, help: "The user who owns site key and roster, when root imports.")
  var owner = "thermograph"

  func run() throws {
    var provisioning = ProvisioningFolder(source: folder, configurationDirectory: into)
    if geteuid() == 0 { provisioning.asOwner = try Self.asUser(owner) }
    let report: ProvisioningFolder.Report
    do {
      report = try provisioning.install()
    } catch {
      printToStandardError("\(error)")
      throw ExitCode.failure
    }
    print(report.text.replacing("\r\n", with: "\n"), terminator: "")
    do {
      try BoundedFile.replace(
        folder + "/" + ProvisioningFolder.reportName, with: Array(report.text.utf8), mode: 0o644)
    } catch {
      // A write-protected stick: the report above is all there is.
      printToStandardError("note: no report in the folder: \(error)")
    }
    guard report.faults.isEmpty else { throw CheckCommand.notUsable }
    guard report.isSuccess else { throw ExitCode.failure }
  }

  /// Root becomes `name` for the duration of a write.
  private static func asUser(
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
