import LocalFiles
import Provenance
import Remote

// Units that come in parts: `updates/incoming/<sha256>.<index>`, each a file, so that a power cut costs the part that was
// under way and no other.
extension UpdateStore {
  private func partPath(_ order: UpdateOrder, _ index: Int) -> String {
    "\(incomingPath)/\(order.fileSHA256).\(index)"
  }

  /// Indices of the parts that are not here, ascending.
  package func missingParts(of order: UpdateOrder) throws(UpdateStoreError) -> [Int] {
    try inFiles { () throws(FileError) in
      var missing: [Int] = []
      for index in 0..<order.parts {
        let status = try BoundedFile.status(partPath(order, index), followingLink: false)
        if status?.byteCount != order.partBytes(index) { missing.append(index) }
      }
      return missing
    }
  }

  /// - Returns: false for a part that does not belong to the order: another index, or another size.
  package func keepPart(_ index: Int, _ bytes: [UInt8], of order: UpdateOrder) throws(UpdateStoreError) -> Bool {
    guard (0..<order.parts).contains(index), bytes.count == order.partBytes(index) else { return false }
    try inFiles { () throws(FileError) in
      try Folder.makeAll(incomingPath, mode: 0o700)
      try BoundedFile.replace(partPath(order, index), with: bytes, mode: 0o600)
    }
    return true
  }

  /// The file that all parts make. Parts that are not what was signed are removed: nobody can tell which of them it is.
  ///
  /// - Returns: nil when they are not what was signed.
  package func assembled(_ order: UpdateOrder) throws(UpdateStoreError) -> [UInt8]? {
    let bytes = try inFiles { () throws(FileError) in
      var bytes: [UInt8] = []
      bytes.reserveCapacity(order.bytes)
      for index in 0..<order.parts {
        bytes += try BoundedFile.read(partPath(order, index), maximumBytes: UpdateRules.partBytes)
      }
      return bytes
    }
    if Hexadecimal.text(of: OpenSSLDigests().sha256(bytes)) == order.fileSHA256 { return bytes }
    try inFiles { () throws(FileError) in try dropParts(except: nil) }
    return nil
  }

  /// Removes the parts of other orders, and what a cut left half written.
  func dropParts(except order: UpdateOrder?) throws(FileError) {
    guard try BoundedFile.exists(incomingPath) else { return }
    let names = try Folder.names(in: incomingPath, maximumNames: Self.filesMaximum)
    let spare = names.filter { name in
      if name.hasSuffix(".tar") { return false }
      return order.map { !name.hasPrefix($0.fileSHA256 + ".") } ?? true
    }
    for name in spare { try BoundedFile.remove("\(incomingPath)/\(name)", isDurable: false) }
    if !spare.isEmpty { try Folder.synchronise(incomingPath) }
  }
}
