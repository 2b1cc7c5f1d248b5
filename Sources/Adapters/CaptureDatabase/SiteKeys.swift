import Forwarding
import Glibc
import Provenance
import Storage

/// The keys under which a site's contents are sealed: in the database, each wrapped by a master key that is not.
///
/// New contents are sealed under the site's newest key. Older keys stay, because each row names the key of its own, so
/// that keys change while workers run.
final class SiteKeys {
  private struct Site {
    var keys: [Int64: SealingKey] = [:]
    var current: SealingKey?
    var readAt: Int64 = 0
  }

  /// How long a worker goes on with the key that it knows.
  private static let refreshSeconds: Int64 = 60
  private static let sitesMaximum = 10_000

  private let masters: KeyRing
  private let digests: any MessageDigests
  private let cipher: PayloadCipher
  private var sites: [String: Site] = [:]

  init(masters: KeyRing, digests: any MessageDigests) throws(DatabaseError) {
    self.masters = masters
    self.digests = digests
    do throws(SealingError) {
      cipher = try PayloadCipher()
    } catch {
      throw DatabaseError(.misuse, "\(error)")
    }
  }

  /// The key for new contents; made when the site has none. Not within a transaction.
  func current(_ site: String, _ connection: DatabaseConnection) throws(DatabaseError) -> SealingKey {
    if let known = sites[site], let current = known.current, Self.seconds() - known.readAt < Self.refreshSeconds {
      return current
    }
    try read(site, connection)
    if let current = sites[site]?.current { return current }
    try make(for: site, connection)
    try read(site, connection)
    guard let current = sites[site]?.current else {
      throw DatabaseError(.unavailable, "database: the new key of site \(site) is not there")
    }
    return current
  }

  /// A key by the id in a row.
  func key(_ id: Int64, _ site: String, _ connection: DatabaseConnection) throws(DatabaseError) -> SealingKey {
    if let key = sites[site]?.keys[id] { return key }
    try read(site, connection)
    guard let key = sites[site]?.keys[id] else {
      throw DatabaseError(.misuse, "database: site \(site) has no key \(SealingKey.text(ofID: id))")
    }
    return key
  }

  /// A new key for `site`, which becomes its current one.
  func make(for site: String, _ connection: DatabaseConnection) throws(DatabaseError) {
    var generator = SystemRandomNumberGenerator()
    let bytes = (0..<SealingKey.byteCount).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    guard let key = SealingKey(bytes: bytes, digests: digests) else {
      throw DatabaseError(.misuse, "database: no key could be made")
    }
    let wrapped = try seal(bytes, Self.wrapping(site, key.id), under: masters.current)
    try connection.transaction("make a key of site \(site)") { connection throws(DatabaseError) -> Void in
      try connection.run(
        "INSERT INTO site_key (site, key_id, master_id, wrapped) VALUES ($1, $2, $3, $4)",
        [.text(site), .integer(key.id), .integer(masters.current.id), .bytes(wrapped)], "make a key of site \(site)")
    }
    sites[site]?.readAt = 0
  }

  /// Wraps every key anew under the current master. Returns how many were under another.
  func rewrap(_ connection: DatabaseConnection) throws(DatabaseError) -> Int {
    let operation = "wrap the keys anew"
    let rows = try connection.run(
      "SELECT site, key_id, master_id, wrapped FROM site_key WHERE master_id <> $1 ORDER BY site, key_id",
      [.integer(masters.current.id)], operation)
    for row in 0..<rows.count {
      let site = rows.text(row, 0) ?? ""
      let id = rows.integer(row, 1) ?? 0
      let bytes = try unwrap(rows.bytes(row, 3) ?? [], site, id, master: rows.integer(row, 2) ?? 0)
      let wrapped = try seal(bytes, Self.wrapping(site, id), under: masters.current)
      try connection.run(
        "UPDATE site_key SET master_id = $3, wrapped = $4 WHERE site = $1 AND key_id = $2",
        [.text(site), .integer(id), .integer(masters.current.id), .bytes(wrapped)], operation)
    }
    return rows.count
  }

  func seal(_ plain: [UInt8], _ associated: [UInt8], under key: SealingKey) throws(DatabaseError) -> [UInt8] {
    do throws(SealingError) {
      return try cipher.seal(plain, associatedData: associated, key: key)
    } catch {
      throw DatabaseError(.misuse, "\(error)")
    }
  }

  func open(_ sealed: [UInt8], _ associated: [UInt8], with key: SealingKey) throws(DatabaseError) -> [UInt8] {
    do throws(SealingError) {
      return try cipher.open(sealed, associatedData: associated, key: key)
    } catch {
      throw DatabaseError(.misuse, "\(error)")
    }
  }

  private func read(_ site: String, _ connection: DatabaseConnection) throws(DatabaseError) {
    let rows = try connection.run(
      "SELECT key_id, master_id, wrapped FROM site_key WHERE site = $1 ORDER BY made_at, key_id", [.text(site)],
      "read the keys of site \(site)")
    if sites.count >= Self.sitesMaximum { sites.removeAll() }
    var found = Site()
    for row in 0..<rows.count {
      let id = rows.integer(row, 0) ?? 0
      let bytes = try unwrap(rows.bytes(row, 2) ?? [], site, id, master: rows.integer(row, 1) ?? 0)
      guard let key = SealingKey(bytes: bytes, digests: digests), key.id == id else {
        throw DatabaseError(.misuse, "database: key \(SealingKey.text(ofID: id)) of site \(site) is not that key")
      }
      found.keys[id] = key
      found.current = key
    }
    found.readAt = Self.seconds()
    sites[site] = found
  }

  private func unwrap(
    _ wrapped: [UInt8], _ site: String, _ id: Int64, master: Int64
  ) throws(DatabaseError) -> [UInt8] {
    do throws(SealingError) {
      return try cipher.open(
        wrapped, associatedData: Self.wrapping(site, id), key: try masters.key(id: master))
    } catch {
      throw DatabaseError(
        .misuse,
        "database: the key of site \(site) is wrapped by master key \(SealingKey.text(ofID: master)): \(error)")
    }
  }

  private static func wrapping(_ site: String, _ id: Int64) -> [UInt8] {
    Array("thermograph site key|\(site)|\(SealingKey.text(ofID: id))".utf8)
  }

  private static func seconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec)
  }
}

/// Rotation of keys, for the technician.
package enum KeyRotation {
  /// A new key for each site. Returns how many sites there are.
  package static func rotate(
    _ target: DatabaseTarget, masters: KeyRing, digests: any MessageDigests
  ) throws(DatabaseError) -> Int {
    let connection = try DatabaseConnection(target)
    let keys = try SiteKeys(masters: masters, digests: digests)
    let rows = try connection.run("SELECT DISTINCT site FROM site_key ORDER BY site", [], "list the sites")
    for row in 0..<rows.count { try keys.make(for: rows.text(row, 0) ?? "", connection) }
    return rows.count
  }

  /// Wraps every site's keys under the current master. Returns how many were under an older one.
  package static func rewrap(
    _ target: DatabaseTarget, masters: KeyRing, digests: any MessageDigests
  ) throws(DatabaseError) -> Int {
    let connection = try DatabaseConnection(target)
    return try SiteKeys(masters: masters, digests: digests).rewrap(connection)
  }
}
