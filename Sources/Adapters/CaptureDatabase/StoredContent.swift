import Forwarding
import FoundationEssentials
import ImageFiles
import Provenance
import Screening
import Storage

/// What of a capture its pictures are made from.
private struct PictureSource {
  let key: CaptureKey
  let view: String?
  /// Seconds since 1970.
  let capturedSeconds: Int64?
  let master: [UInt8]

  /// The picture with this SHA-256, made from the master; nil when this version makes another one.
  ///
  /// A device of before the words at the view's right drew none.
  func file(_ image: RenderedImage, withSHA256 wanted: [UInt8], _ digests: any MessageDigests) -> [UInt8]? {
    guard let capturedSeconds else { return nil }
    let (nanoseconds, isTooLarge) = capturedSeconds.multipliedReportingOverflow(by: 1_000_000_000)
    guard !isTooLarge else { return nil }
    let captured = Timestamp(utcNanoseconds: nanoseconds, bootID: "", monotonicNanoseconds: 0, synchronised: false)
    var words: [String?] = [nil]
    if let side = view.flatMap({ CaptureView(rawValue: $0) })?.rightSide { words.insert(side, at: 0) }
    for rightSide in words {
      do throws(RenderedImageError) {
        let file = try image.file(
          fromMaster: master, captureID: key.captureID, rightSide: rightSide, capturedAt: captured)
        if digests.sha256(file) == wanted { return file }
      } catch {
        // A master that is none came from a device that is not ours: its view stays what it was.
        return nil
      }
    }
    return nil
  }
}

/// A content of a capture in the clear.
package struct CaptureContent: Sendable, Equatable {
  package var bytes: [UInt8]
  /// Made again from the master just now: the device did not send it, or it was dropped here.
  package var isDrawn: Bool
}

/// Contents in the clear, and views that need not be kept.
extension DatabaseStore {
  /// How many views one call of `dropViews` looks at: some 20 ms each, while nothing is stored.
  package static let viewsAtATime = 16

  /// What `dropViews` did.
  package struct DroppedViews: Equatable {
    package var dropped = 0
    /// Not made again byte for byte by this version, so they stay.
    package var stay = 0
    /// There may be more.
    package var isUnfinished = false

    package init(dropped: Int = 0, stay: Int = 0, isUnfinished: Bool = false) {
      self.dropped = dropped
      self.stay = stay
      self.isUnfinished = isUnfinished
    }
  }

  /// A content of a capture as its device sent it: `record.json` or an image. A view that was dropped, or a picture that the
  /// device left to the receiver to draw, is made from the master, byte for byte as promised, or not given at all. nil when
  /// there is no such content.
  package func content(
    site: String, device: String, captureID: RandomIdentifier, name: String
  ) throws(DatabaseError) -> CaptureContent? {
    let key = CaptureKey(site: site, device: device, captureID: captureID)
    let isRecord = name == OutboxItem.recordName
    var parameters: [DatabaseValue] = [.text(site), .text(device), .identifier(captureID)]
    if !isRecord { parameters.append(.text(name)) }
    let wanted = parameters
    return try withConnection { open throws(DatabaseError) -> CaptureContent? in
      let rows = try open.connection.run(
        """
        SELECT key_id, sealed, sha256 FROM \(isRecord ? "capture" : "image")
        WHERE site = $1 AND device = $2 AND capture_id = $3 \(isRecord ? "" : "AND name = $4")
        """, wanted, "read a content")
      guard rows.count == 1, let keyID = rows.integer(0, 0), let sha256 = rows.bytes(0, 2) else {
        guard rows.count <= 1 else {
          throw DatabaseError(.misuse, "database: \(captureID) has \(rows.count) contents named \(name); see set_aside")
        }
        guard let image = RenderedImage(rawValue: name) else { return nil }
        return try unsentPicture(image, of: key, open)
      }
      if let sealed = rows.bytes(0, 1) {
        let bytes = try keys.open(
          sealed, key.associated(name), with: try keys.key(keyID, site, open.connection))
        return CaptureContent(bytes: bytes, isDrawn: false)
      }
      return try drawn(RenderedImage(rawValue: name), name, of: key, sha256, open)
    }
  }

  /// - Parameter image: nil for a content that is none of those which a master gives again.
  private func drawn(
    _ image: RenderedImage?, _ name: String, of key: CaptureKey, _ sha256: [UInt8], _ open: OpenDatabase
  ) throws(DatabaseError) -> CaptureContent {
    guard let image, let file = try pictureSources(of: key, open).first?.file(image, withSHA256: sha256, digests) else {
      throw DatabaseError(
        .misuse,
        "database: no \(name) of \(key.captureID) is stored, and this version makes another one of its master")
    }
    return CaptureContent(bytes: file, isDrawn: true)
  }

  /// What a record says of pictures that its device does not send.
  private struct Renderings: Decodable {
    struct Picture: Decodable {
      var name: String
      var sha256: String
    }

    var renderings: [Picture]?
  }

  /// A picture that the record promises and leaves to the receiver; nil when it promises none of this name.
  private func unsentPicture(
    _ image: RenderedImage, of key: CaptureKey, _ open: OpenDatabase
  ) throws(DatabaseError) -> CaptureContent? {
    guard
      let record = try content(
        site: key.site, device: key.device, captureID: key.captureID, name: OutboxItem.recordName)
    else { return nil }
    let said: Renderings
    do {
      said = try JSONDecoder().decode(Renderings.self, from: Data(record.bytes))
    } catch {
      throw DatabaseError(.misuse, "database: what the record of \(key.captureID) says of its pictures cannot be read")
    }
    guard let promise = said.renderings?.first(where: { $0.name == image.name }) else { return nil }
    return try drawn(image, image.name, of: key, Hexadecimal.bytes(of: promise.sha256) ?? [], open)
  }

  /// Forgets the pixels of views that are older than `days`, each after it was made again from its master with the same
  /// SHA-256. Only of complete captures; the row stays, so that a view sent again is recognised.
  package func dropViews(olderThanDays days: Int) throws(DatabaseError) -> DroppedViews {
    try withConnection { open throws(DatabaseError) in
      try open.connection.transaction("drop old views") { connection throws(DatabaseError) -> DroppedViews in
        let rows = try connection.run(
          """
          SELECT v.site, v.device, v.capture_id, v.sha256 FROM image v
          WHERE v.name = 'view.png' AND v.sealed IS NOT NULL AND NOT v.stays
            AND v.received_at < now() - $1 * interval '1 day'
            AND EXISTS (SELECT 1 FROM capture c WHERE c.site = v.site AND c.device = v.device
              AND c.capture_id = v.capture_id AND c.complete_at IS NOT NULL)
          ORDER BY v.received_at LIMIT $2 FOR UPDATE OF v SKIP LOCKED
          """, [.integer(Int64(days)), .integer(Int64(Self.viewsAtATime))], "look for old views")
        var result = DroppedViews(isUnfinished: rows.count == Self.viewsAtATime)
        for row in 0..<rows.count {
          guard let site = rows.text(row, 0), let device = rows.text(row, 1), let id = rows.identifier(row, 2),
            let sha256 = rows.bytes(row, 3)
          else { continue }
          let source = try pictureSources(of: CaptureKey(site: site, device: device, captureID: id), open).first
          let isMadeAgain = source?.file(.view, withSHA256: sha256, digests) != nil
          try connection.run(
            """
            UPDATE image SET \(isMadeAgain ? "sealed = NULL" : "stays = true")
            WHERE site = $1 AND device = $2 AND capture_id = $3 AND name = 'view.png'
            """, [.text(site), .text(device), .identifier(id)], "drop a view")
          if isMadeAgain { result.dropped += 1 } else { result.stay += 1 }
        }
        return result
      }
    }
  }

  private func pictureSources(of key: CaptureKey, _ open: OpenDatabase) throws(DatabaseError) -> [PictureSource] {
    let rows = try open.connection.run(
      """
      SELECT c.view, extract(epoch FROM date_trunc('second', c.captured_at))::bigint, m.key_id, m.sealed
      FROM capture c JOIN image m ON m.site = c.site AND m.device = c.device AND m.capture_id = c.capture_id
        AND m.name = 'master.png'
      WHERE c.site = $1 AND c.device = $2 AND c.capture_id = $3 AND m.sealed IS NOT NULL
      """, [.text(key.site), .text(key.device), .identifier(key.captureID)], "read a master")
    var sources: [PictureSource] = []
    for row in 0..<rows.count {
      guard let keyID = rows.integer(row, 2), let sealed = rows.bytes(row, 3) else { continue }
      sources.append(
        PictureSource(
          key: key, view: rows.text(row, 0), capturedSeconds: rows.integer(row, 1),
          master: try keys.open(
            sealed, key.associated("master.png"), with: try keys.key(keyID, key.site, open.connection))))
    }
    return sources
  }
}
