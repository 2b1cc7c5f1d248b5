import ArgumentParser
import ConfigurationFiles
import Device
import Glibc
import Identification
import LinuxIO
import LocalFiles
import Provenance

struct TagReadCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "read",
    abstract: "Shows tags as they are held to a reader, in every printed number format.",
    discussion: """
      Opens the reader's serial port, which the running service must not hold at the same time, and runs until it is \
      interrupted. With the site's key at hand (--config, or the installed configuration) it prints the tag's fingerprint \
      too: what the roster names it by, and what records carry.

        thermograph tag read --reader rdm6300 --port /dev/serial0
        thermograph tag read --reader line --port /dev/ttyACM0 --line-number decimal
        thermograph tag read --reader rdm6300 --port /dev/serial0 --count 1 --json
        thermograph tag read --reader rdm6300 --config /etc/thermograph/thermograph.toml
      """)

  @Option(name: .long, help: "The reader's protocol: rdm6300, id12la, pn532-hsu or line.")
  var reader: ReaderKind

  @Option(name: .long, help: "The serial port's device.")
  var port = "/dev/serial0"

  @Option(name: .long, parsing: .unconditional, help: "The line speed; the reader's default unless given.")
  var baud: Int?

  @Option(name: .long, help: "The main configuration file, for the fingerprint; default: the installed one, if there.")
  var config: String?

  @Option(name: .long, parsing: .unconditional, help: "Stop after so many presentations.")
  var count: Int?

  @Flag(name: .long, help: "Show every frame and every reject too, not just confirmed presentations.")
  var every = false

  @Flag(name: .long, help: "Print one JSON object on each line.")
  var json = false

  @OptionGroup var line: LinePatternOptions

  func validate() throws {
    if let count, count < 1 { throw ValidationError("--count \(count): expected 1 or more") }
  }

  func run() async throws {
    let naming = try naming()
    let tags = try TagReader(
      .init(path: port, kind: reader, baud: baud, linePattern: line.pattern, reportsEveryReading: every),
      clock: try SystemClock())
    defer { tags.stop() }
    var presentedCount = 0
    for await event in tags.events {
      switch event {
      case .connected:
        printToStandardError("\(port): open at \(baud ?? reader.baud) baud; hold a tag to the reader")
      case .disconnected(let error, let retry):
        printToStandardError("\(error); trying again in \(retry) ms")
      case .reading(let reading):
        print(json ? reading.json(reader: reader, presented: false) : "frame      \(reading.numberFormats)")
      case .reject(let reject):
        printToStandardError("reject \(reject.reason.rawValue): \(reject)")
      case .presentation(.presented(let reading)):
        let fingerprint = naming?.fingerprint(of: reading.uid).text
        print(
          json
            ? reading.json(reader: reader, presented: true, fingerprint: fingerprint)
            : "presented  \(reading.numberFormats)")
        if let fingerprint, !json { print("           fingerprint \(fingerprint)") }
        presentedCount += 1
      case .presentation(.removed):
        printToStandardError("removed")
      case .presentation(.ambiguous):
        printToStandardError("more than one tag at the reader: hold only one to it")
      case .presentation(.refused(let refusal)):
        printToStandardError("refused: \(refusal)")
      }
      // Each line at once, into a pipe too: somebody is watching. All streams, since `stdout` is a global of C.
      fflush(nil)
      if let count, presentedCount >= count { return }
    }
  }

  /// nil where nobody named a configuration and none is installed, or its key is not for this user.
  private func naming() throws -> TagNaming? {
    let main = config ?? ConfigurationFolder.installedMainFile
    guard try config != nil || BoundedFile.exists(main) else { return nil }
    let credentials = getenv("CREDENTIALS_DIRECTORY").map { String(cString: $0) }
    let settings = ConfigurationFolder(mainFile: main, credentialsDirectory: credentials).read().settings
    do {
      return try TagNaming(settings, secrets: SecretFiles(credentialsDirectory: credentials))
    } catch {
      if config != nil { throw error }
      printToStandardError("no fingerprint: \(error)")
      return nil
    }
  }
}
