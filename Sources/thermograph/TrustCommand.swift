import ArgumentParser
import Audit
import Configuration
import ConfigurationFiles
import Cryptography
import Device
import LinuxIO
import Provenance
import Storage
import Trust

struct TrustCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trust",
    abstract: "Shows whose signatures this device believes, and takes newer lists of them.",
    discussion: """
      The site's root is installed by 'enroll --install'; it names who may command, configure, answer and receive. The \
      vendor's root comes with the package and says which models are genuine. Neither can do the other's work.

        thermograph trust show
        thermograph trust import /media/stick/site
        thermograph trust import /media/stick/vendor --vendor
      """,
    subcommands: [Import.self, Show.self])

  struct Options: ParsableArguments {
    @Option(name: .long, help: "The main configuration file; it says where the state directory is.")
    var config = ConfigurationFolder.installedMainFile

    func trust(_ root: TrustRoot) throws -> RepositoryTrust {
      RepositoryTrust(root, ConfigurationFolder(mainFile: config).read().settings, time: try SystemClock())
    }

    var settings: Settings { ConfigurationFolder(mainFile: config).read().settings }
  }

  struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Takes newer metadata from a folder with metadata/ and targets/, all of it or nothing.",
      discussion: """
        Everything is verified down from the root that is installed; an earlier version, an expired file or a wrong \
        signature leaves what was trusted as it was. The running service believes the new list at once.

          thermograph trust import /media/stick/site
        """)

    @OptionGroup var options: Options

    @Argument(help: "The folder that Scripts/repository published.")
    var folder: String

    @Flag(name: .long, help: "The vendor's repository, not the site's.")
    var vendor = false

    func run() throws {
      do {
        let trust = try options.trust(vendor ? .vendor : .site)
        leaveNote(.imported(vendor ? .vendorMetadata : .siteMetadata, items: 1), options.settings)
        let (repository, isNew) = try trust.update(from: try RepositoryFolder(folder))
        if isNew {
          leaveNote(.keys(.trust(root: trust.root.rawValue, versions: repository.versionsText)), options.settings)
        }
        print("\(trust.root.rawValue): \(repository.versionsText)\(isNew ? "" : " (in place already)")")
        let freshness = trust.freshness(of: repository)
        if freshness != .proven { printToStandardError("note: freshness \(freshness)") }
      } catch {
        printToStandardError("\(folder): nothing is taken: \(error)")
        throw ExitCode.failure
      }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints roots, versions, ends and how many keys each role has.",
      discussion: """
          thermograph trust show
          thermograph trust show --json
        """)

    @OptionGroup var options: Options

    @Flag(name: .long, help: "Print one JSON object on standard output.")
    var json = false

    func run() throws {
      let reports = try TrustRoot.allCases.map { TrustReport(try options.trust($0)) }
      if json {
        print(try CanonicalJSON.text(of: ["roots": reports]))
      } else {
        for report in reports { print(report.text, terminator: "") }
      }
      if reports.contains(where: { $0.root == "site" && $0.state != .absent }) {
        for notice in SiteRootNotice.passedOver(options.settings) { printToStandardError("note: \(notice)") }
      }
      if reports.contains(where: { $0.state == .unusable }) { throw ExitCode.failure }
    }
  }
}
