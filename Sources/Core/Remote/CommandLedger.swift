import Provenance

/// A command that was begun. It is on disk before anything is done, so that nothing is done twice.
package struct LedgerEntry: Sendable, Equatable {
  package let id: RandomIdentifier
  /// SHA-256 of the statement.
  package let digest: [UInt8]
  package let name: String
  package let expiresSeconds: Int64
  /// The JSON that was answered; nil while it is being done.
  package var reply: [UInt8]?

  package init(id: RandomIdentifier, digest: [UInt8], name: String, expiresSeconds: Int64, reply: [UInt8]? = nil) {
    self.id = id
    self.digest = digest
    self.name = name
    self.expiresSeconds = expiresSeconds
    self.reply = reply
  }
}

/// The time by which commands are judged.
package struct CommandClock: Sendable, Equatable {
  /// Seconds since 1970 as the clock has it.
  package var nowSeconds: Int64
  /// A time source vouches for the clock, and it does not run ahead of what is believed of time sources.
  package var isProven: Bool
  /// The time that has certainly passed.
  package var floorSeconds: Int64

  package init(nowSeconds: Int64, isProven: Bool, floorSeconds: Int64) {
    self.nowSeconds = nowSeconds
    self.isProven = isProven
    self.floorSeconds = floorSeconds
  }

  /// Never before the floor, whatever the clock says.
  package var seconds: Int64 { isProven ? max(nowSeconds, floorSeconds) : floorSeconds }
}
