import Audit
import LocalFiles
import Provenance
import Trust

/// The log as files that anybody can judge who has the device's audit key, without this program:
///
/// | file | |
/// |---|---|
/// | `origin.json` | whose log it is; its SHA-256 with a prefix is the head of the empty log |
/// | `base.json` | `{"size":…,"head":"…"}` before the first entry that is kept |
/// | `entries.jsonl` | an entry a line; what is hashed is the line without its end |
/// | `head.json` | the head, signed by the device (DSSE) |
extension AuditLog {
  package static let entriesName = "entries.jsonl"
  package static let baseName = "base.json"
  package static let headName = "head.json"
  private static let chunkBytes = 256 * 1024

  /// The four files in memory, for a stick on which they are sealed.
  package func exported(signedBy signer: some SignatureSigner, at time: Timestamp) throws -> [(
    name: String, bytes: [UInt8]
  )] {
    var lines: [UInt8] = []
    try forEachEntry { lines += $0 + [UInt8(ascii: "\n")] }
    return [(Self.entriesName, lines)] + (try headings(signedBy: signer, at: time))
  }

  /// All but the entries.
  private func headings(
    signedBy signer: some SignatureSigner, at time: Timestamp
  ) throws -> [(name: String, bytes: [UInt8])] {
    let statement = AuditHeadStatement(log: origin.log, head: head, time: time)
    return [
      (Self.baseName, JSONValue.object(base.object).encoded()),
      (Self.headName, try statement.signed(by: signer).encoded()),
      (Self.originName, origin.encoded),
    ]
  }

  /// Writes the four files into `folder`, which is made and must not hold an export.
  package func export(
    to folder: String, signedBy signer: some SignatureSigner, at time: Timestamp
  ) throws {
    try Folder.makeAll(folder, mode: 0o755)
    let path = folder + "/" + Self.entriesName
    guard try !BoundedFile.exists(path) else {
      throw FileError(path: path, reason: "exists; name a new folder, or remove the export that is there")
    }
    let file = try OpenFile(path, for: .writing(mode: 0o644))
    var lines: [UInt8] = []
    try forEachEntry { text in
      lines += text
      lines.append(UInt8(ascii: "\n"))
      if lines.count >= Self.chunkBytes {
        try file.write(lines)
        lines.removeAll(keepingCapacity: true)
      }
    }
    try file.write(lines)
    try file.synchronise()
    for (name, bytes) in try headings(signedBy: signer, at: time) {
      try BoundedFile.replace(folder + "/" + name, with: bytes)
    }
  }
}
