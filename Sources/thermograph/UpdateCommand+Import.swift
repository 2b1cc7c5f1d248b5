import ArgumentParser
import Audit
import Device
import LinuxIO

struct UpdateImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Takes models from a signed repository in a folder, of a stick for instance.",
    discussion: """
      Everything is verified down from the vendor's root. The newest unit of each of this device's models is copied into the \
      device; the stick may be pulled out when the command has ended. Each is tried before it decides: its golden vectors, then \
      three captures that the present model still decides. A stick that is pulled out too early, a full disk or one wrong \
      signature changes nothing.

        thermograph update import /media/stick/repository
        thermograph update import /media/stick/repository --model screening-fold --version 7
      """)

  @Argument(help: "The folder with 'metadata' and 'targets'.")
  var folder: String

  @Option(name: .long, help: "This model, instead of all that the device has.")
  var model: String?

  @Option(name: .long, help: "This version of it, instead of the newest.")
  var version: Int?

  @Flag(name: .long, help: "Only keep them: the command update-install from afar begins the trial.")
  var hold = false

  @OptionGroup var options: UpdateOptions

  func validate() throws {
    if version != nil, model == nil { throw ValidationError("--version goes with --model.") }
  }

  func run() throws {
    let settings = options.settings
    let lines: [UpdateImporter.Line]
    do {
      leaveNote(.imported(.model, items: 1, detail: model), settings)
      let repository = try VendorRepository(settings, folder: folder, time: try SystemClock())
      lines = try UpdateImporter(settings).take(
        from: repository.units, models: model.map { [$0] } ?? [], version: version.map(Int64.init), isHeld: hold)
    } catch {
      printToStandardError("\(error)")
      throw ExitCode.failure
    }
    for line in lines where !line.isFault { print(line.text) }
    for line in lines where line.isFault { printToStandardError(line.text) }
    if lines.contains(where: \.isFault) { throw ExitCode.failure }
  }
}
