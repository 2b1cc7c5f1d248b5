import Forwarding
import FoundationEssentials
import LocalFiles
import Provenance
import Screening

/// The open session on disk, so that a power cut neither forgets it nor lets it go on as somebody else's.
///
/// One file, replaced as a whole before each view begins and removed when the session is closed. It names the patient by
/// the pseudonym, and only its owner may read it.
struct SessionJournal: Sendable {
  private static let maximumBytes = 64 << 10

  /// What the file holds.
  struct Page: Sendable, Equatable, Codable {
    static let schema = "thermograph.session-journal.v1"

    var schema = Self.schema
    var written: Timestamp
    var checkpoint: SessionCheckpoint

    /// How long ago it was written, in seconds; nil when the clocks do not tell: after a restart of the board only UTC
    /// does, and only if it was right both times.
    func ageSeconds(at now: Timestamp) -> Int? {
      let nanoseconds: Int64
      if now.bootID == written.bootID {
        nanoseconds = Int64(clamping: now.monotonicNanoseconds) - Int64(clamping: written.monotonicNanoseconds)
      } else {
        guard now.synchronised, written.synchronised else { return nil }
        let (difference, overflow) = now.utcNanoseconds.subtractingReportingOverflow(written.utcNanoseconds)
        guard !overflow else { return nil }
        nanoseconds = difference
      }
      return Int(max(nanoseconds, 0) / 1_000_000_000)
    }
  }

  /// nil keeps nothing: a session at a terminal ends with the terminal.
  let path: String?

  /// Writes the open session down, durably.
  func write(_ checkpoint: SessionCheckpoint, at now: Timestamp) throws {
    guard let path else { return }
    let page = Page(written: now, checkpoint: checkpoint)
    try BoundedFile.replace(path, with: CanonicalJSON.bytes(of: page), mode: 0o600)
  }

  /// The session is closed.
  func clear() throws(FileError) {
    guard let path else { return }
    try BoundedFile.remove(path)
  }

  /// The session that was open when the process ended, or nil. A file that is no journal is an error: somebody must
  /// look at it, and it must not stand in the way either.
  func read() throws -> Page? {
    guard let path else { return nil }
    guard let bytes = try contents(of: path) else { return nil }
    do {
      let page = try JSONDecoder().decode(Page.self, from: Data(bytes))
      guard page.schema == Page.schema else {
        throw FileError(path: path, reason: "has schema \(page.schema); expected \(Page.schema)")
      }
      return page
    } catch let error as FileError {
      throw error
    } catch {
      throw FileError(path: path, reason: "is no journal of a session; it is ignored")
    }
  }

  private func contents(of path: String) throws(FileError) -> [UInt8]? {
    do throws(FileError) {
      return try BoundedFile.read(path, maximumBytes: Self.maximumBytes)
    } catch {
      if error.isMissing { return nil }
      throw error
    }
  }
}
