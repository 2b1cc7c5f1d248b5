import ArgumentParser
import Device
import LocalFiles
import Provenance
import Screening
import Storage

struct ModelPackCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pack",
    abstract: "Packs a model's folder into the one file that an update brings.",
    discussion: """
      The file is a POSIX archive (ustar) of manifest.json and what the manifest names; any tar shows it. Equal folders make \
      equal files. Everything is checked, and the golden vectors are computed, before it is written. It is signed as the \
      target models/<id>/<number>.tar of the vendor's repository; the number rises with each release (Docs/updates-of-models.md).

        thermograph model pack screening-fold --directory Models --output 7.tar
      """)

  @Argument(help: "The model's folder.")
  var name: String

  @OptionGroup var models: ModelsDirectory

  @Option(name: .long, help: "The file to write.")
  var output: String

  func run() throws {
    let folder = try models.folder(name)
    var files: [String: [UInt8]] = [:]
    for path in folder.manifest.files.map(\.path) + [ModelFolder.manifestName] {
      files[path] = try BoundedFile.read("\(folder.path)/\(path)", maximumBytes: ModelFolder.maximumModelBytes)
    }
    _ = try ModelVerification(folder.manifest, digests: OpenSSLDigests()) { path, _ in files[path] ?? [] }
    let bytes = ModelUnitFile.archive(of: files)
    _ = try ModelUnitFile(archive: bytes)
    try BoundedFile.replace(output, with: bytes)
    print(
      "\(output): \(bytes.count) bytes  unit \(folder.unitSHA256)  file \(Hexadecimal.text(of: OpenSSLDigests().sha256(bytes)))"
    )
  }
}
