import LocalFiles
import Provenance

// From device to device, and for a person who looks after one.

extension BaselineStore {
  /// What an export came to.
  package struct Exported: Sendable, Equatable {
    package var transfer: BaselineTransfer
    /// A sentence for each file that could not be read; the others are in the transfer.
    package var problems: [String] = []
  }

  /// For a stick: everything of these patients, or of all. Of a merge, what the other holds goes with it.
  package func exported(_ patients: [String]?) throws(BaselineError) -> Exported {
    var gathering = Gathering()
    if let patients {
      for patient in patients {
        do throws(BaselineError) { try gather(patient, into: &gathering) } catch { try gathering.note(error) }
      }
    } else {
      for name in try names() {
        do throws(BaselineError) { try gathering.add(load(name: name)) } catch { try gathering.note(error) }
      }
    }
    return Exported(transfer: BaselineTransfer(gathering.contents), problems: gathering.problems)
  }

  private func gather(_ patient: String, into gathering: inout Gathering) throws(BaselineError) {
    guard let content = try load(patient) else { return }
    try gathering.add(content)
    if let target = try mergeTarget(of: patient) { try gathering.add(load(target)) }
    // And the references that are merged into this one: their tags are the same person's there too.
    for other in content.references where other != patient {
      if let pointer = try load(other), pointer.mergedInto != nil { try gathering.add(pointer) }
    }
  }

  /// What became of an import.
  package struct Restored: Sendable, Equatable {
    /// Patients of whom something was new.
    package var changed = 0
    /// A sentence for each patient that could not be taken over.
    package var problems: [String] = []
  }

  /// Takes over what another device of the site exported. What is here stays; what is there is added. One patient that
  /// cannot be taken over keeps none of the others out.
  package func restore(_ transfer: BaselineTransfer) throws(BaselineError) -> Restored {
    try locked { () throws(BaselineError) in
      var restored = Restored()
      for imported in transfer.patients {
        do throws(BaselineError) {
          if try restore(imported) { restored.changed += 1 }
        } catch {
          if case .file = error { throw error }
          restored.problems.append("\(error)")
        }
      }
      return restored
    }
  }

  /// - Returns: whether something was new.
  private func restore(_ imported: PatientBaselines) throws(BaselineError) -> Bool {
    var here = try undamaged(imported.patient)
    var content = here ?? PatientBaselines(patient: imported.patient)
    if let target = imported.mergedInto {
      guard here == nil || here?.masters.isEmpty == true else {
        throw .merge(reason: "\(imported.patient) is merged into \(target) there, and has pictures of its own here")
      }
      guard try mergeTarget(of: target) != imported.patient, target != imported.patient else {
        throw .merge(reason: "\(imported.patient) is merged into \(target) there, and the other way round here")
      }
      content = .merged(imported.patient, into: target)
    } else {
      // Merged here: the pictures belong with the other's.
      if let target = try mergeTarget(of: imported.patient) {
        here = try undamaged(target)
        content = here ?? PatientBaselines(patient: target)
      }
      content.take(imported.masters)
    }
    guard content != here, !(here == nil && content.isEmpty) else { return false }
    try write(content)
    return true
  }

  /// What a look at every file found; nothing is changed by it.
  package struct Inspection: Sendable, Equatable {
    package var whole = 0
    /// Cannot be read, though the key is there: the next use sets it aside.
    package var damaged = 0
    /// Was set aside; whose it was nobody knows any more.
    package var setAside = 0
    /// Under a key that is not loaded, or of a newer program.
    package var locked = 0
  }

  /// What the name of a file that was set aside ends in.
  package static let damagedSuffix = BaselineFile.suffix + BaselineFile.damagedSuffix

  /// For a person who looks after the device.
  package func inspect() throws(BaselineError) -> Inspection {
    var found = Inspection()
    for name in try allNames() {
      if name.hasSuffix(Self.damagedSuffix) { found.setAside += 1 }
      guard name.hasSuffix(BaselineFile.suffix) else { continue }
      do throws(BaselineError) {
        if try examined(name) != nil { found.whole += 1 }
      } catch {
        switch error {
        case .damaged: found.damaged += 1
        case .unknownKey, .newer: found.locked += 1
        default: throw error
        }
      }
    }
    return found
  }
}

/// An export under way. All of a large site need not fit into memory to learn that they do not fit into a file.
private struct Gathering {
  private(set) var contents: [PatientBaselines] = []
  private(set) var problems: [String] = []
  private var bytes = 0

  mutating func add(_ content: PatientBaselines?) throws(BaselineError) {
    guard let content, !contents.contains(where: { $0.patient == content.patient }) else { return }
    bytes += content.storedBytes
    guard bytes <= BaselineTransfer.maximumPlainBytes, contents.count < BaselineTransfer.maximumPatients else {
      throw .tooLarge(reason: BaselineTransfer.tooManyPatients)
    }
    contents.append(content)
  }

  /// What keeps one patient out and nobody else.
  mutating func note(_ error: BaselineError) throws(BaselineError) {
    switch error {
    case .damaged, .unknownKey, .newer, .merge: problems.append("\(error)")
    default: throw error
    }
  }
}
