import Provenance

extension BaselineTransfer {
  /// Bytes of a sealed piece: what a command has room for.
  package static let pieceBytes = 8600
  private static let sealBytes = 64

  /// The same patients in transfers that a command carries, each good for itself. Taking all of them over, in any order and
  /// any of them twice, is taking over the whole.
  ///
  /// - Throws: `tooLarge` for a picture that alone is too large.
  package func pieces() throws(BaselineError) -> [BaselineTransfer] {
    var pieces: [BaselineTransfer] = []
    for patient in patients {
      guard patient.mergedInto == nil else {
        pieces.append(BaselineTransfer([patient]))
        continue
      }
      var rest = patient.masters[...]
      while !rest.isEmpty {
        var count = 0
        while count < rest.count, try Self.fits(patient.patient, rest.prefix(count + 1)) { count += 1 }
        guard count > 0 else { throw .tooLarge(reason: "a picture is larger than one command takes; use a stick") }
        pieces.append(Self.piece(patient.patient, rest.prefix(count)))
        rest = rest.dropFirst(count)
      }
    }
    return pieces
  }

  private static func piece(_ patient: String, _ masters: ArraySlice<BaselineMaster>) -> BaselineTransfer {
    var content = PatientBaselines(patient: patient)
    content.take(Array(masters))
    return BaselineTransfer([content])
  }

  private static func fits(_ patient: String, _ masters: ArraySlice<BaselineMaster>) throws(BaselineError) -> Bool {
    do { return try CanonicalJSON.bytes(of: piece(patient, masters)).count + sealBytes <= pieceBytes } catch {
      throw .tooLarge(reason: "\(error)")
    }
  }
}
