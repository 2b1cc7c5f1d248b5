import ArgumentParser
import CaptureDatabase
import LocalFiles
import Provenance
import Storage

struct ContentCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "content", abstract: "Writes one stored content in the clear, as its device sent it.",
    discussion: """
      A view that --keep-views has forgotten, and a picture that the device left out on a thin line, are made again from \
      the master. That is told. If they would not be the same byte for byte, nothing is written. The file is new and readable by its owner only: it names a patient's pseudonym or shows a patient.

        thermograph-receiver content clinic/unit-1 2f1c9b1e-... view.png view.png --database 'service=thermograph' \
      --master-key-file /etc/thermograph-receiver/master.key
      """)

  @OptionGroup var database: DatabaseOptions
  @OptionGroup var masterKeys: MasterKeyOptions

  @Argument(help: "The device, SITE/DEVICE.")
  var device: String

  @Argument(help: "The capture's id.")
  var capture: String

  @Argument(help: "record.json, master.png, view.png, mask.png or standard-error.png.")
  var name: String

  @Argument(help: "The file to write; it must not exist yet.")
  var output: String

  func validate() throws { _ = try database.target() }

  func run() throws {
    let parts = device.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2 else { throw ValidationError("'\(device)': expected SITE/DEVICE, e.g. clinic/unit-1") }
    guard let id = RandomIdentifier(capture) else {
      throw ValidationError("'\(capture)' is no capture's id; expected a UUID")
    }
    do {
      let store = try DatabaseStore(
        try database.target(), masters: try masterKeys.masters(), digests: OpenSSLDigests())
      guard let content = try store.content(site: parts[0], device: parts[1], captureID: id, name: name) else {
        throw Failure(words: "\(device) has no \(name) of capture \(id) here")
      }
      try BoundedFile.createPrivate(output, with: content.bytes)
      if content.isDrawn {
        say("\(name) is not stored; it was made again from master.png, and is byte for byte what the device promised")
      }
    } catch let error as ValidationError {
      throw error
    } catch {
      say("thermograph-receiver content: \(error)")
      throw (error as? DatabaseError)?.kind == .misuse || error is KeyFileError ? ExitCode(78) : ExitCode.failure
    }
  }

  private struct Failure: Error, CustomStringConvertible {
    let words: String
    var description: String { words }
  }
}
