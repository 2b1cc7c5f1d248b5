import ArgumentParser
import Device
import FoundationEssentials
import LocalFiles
import Provenance
import Remote
import Screening
import Storage

/// The folder that holds the models.
struct ModelsDirectory: ParsableArguments {
  @Option(name: .long, help: "The folder that holds a folder for each model; default: the installed one.")
  var directory = ModelsDirectory.standing

  static let installed = "/usr/share/thermograph/models"

  /// The installed folder; in the project's own folder, where nothing is installed, its `Models`. A folder of that name
  /// that lies about on a device is never taken.
  static var standing: String {
    let files = FileManager.default
    let isInProject = files.fileExists(atPath: "Package.swift") && files.fileExists(atPath: "Models/training")
    return !files.fileExists(atPath: installed) && isInProject ? "Models" : installed
  }

  private static let maximumEntries = 256

  /// The named models, or all folders that hold a manifest, in byte order.
  func names(_ wanted: [String]) throws -> [String] {
    guard wanted.isEmpty else { return wanted }
    return try Folder.names(in: directory, maximumNames: Self.maximumEntries).filter { name in
      FileManager.default.fileExists(atPath: "\(directory)/\(name)/\(ModelFolder.manifestName)")
    }
  }

  func folder(_ name: String) throws -> ModelFolder {
    try ModelFolder(path: "\(directory)/\(name)", digests: OpenSSLDigests())
  }

  static func json(_ value: some Encodable) throws -> String {
    try CanonicalJSON.text(of: value)
  }
}

struct ModelListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the models in a folder, one a line.",
    discussion: """
      Each network's SHA-256 is compared with its manifest. Behind the models stands what decides in the place of an \
      installed one, where an update brought it (thermograph update status tells more). Exit status 0: each model can be used; 1: one cannot.

        thermograph model list
        thermograph model list --directory ./Models --json
      """)

  @OptionGroup var models: ModelsDirectory

  @OptionGroup var options: UpdateOptions

  @Flag(name: .long, help: "Print one JSON object for each model.")
  var json = false

  private struct Line: Encodable {
    let id: String
    let version: String
    let purpose: String
    let status: String
    let bytes: Int
    let sha256: String
  }

  func run() throws {
    var isSound = true
    for name in try models.names([]) {
      let manifest: ModelManifest
      do {
        manifest = try models.folder(name).manifest
      } catch {
        printToStandardError("\(error)")
        isSound = false
        continue
      }
      let line = Line(
        id: manifest.id, version: manifest.version, purpose: manifest.purpose.rawValue,
        status: manifest.status.rawValue, bytes: manifest.model.bytes, sha256: manifest.model.sha256)
      if json {
        print(try ModelsDirectory.json(line))
      } else {
        print(
          "\(line.id) \(line.version)  \(line.purpose)  \(line.status)  \(line.bytes) bytes  \(line.sha256.prefix(12))")
      }
    }
    if !json { tellSlots() }
    if !isSound { throw ExitCode.failure }
  }

  /// What came as an update.
  private func tellSlots() {
    do {
      let book = try options.store.read()
      for slot in book.slots where slot.active != .installed || slot.previous != nil {
        print(
          "\(slot.slot.rawValue) slot: \(slot.active.text)" + (slot.previous.map { "; before it: \($0.text)" } ?? ""))
      }
      if let update = book.update { print("under way: \(update.text)") }
    } catch {
      printToStandardError("note: what decides in their place cannot be told: \(error)")
    }
  }
}
