import FoundationEssentials
import LocalFiles
import Provenance

/// Where a device keeps what the comparison over time compares with: a sealed file a patient, for years, beside the outbox
/// and not in it. Several processes may use it: what is changed is changed under a lock.
///
/// A file that cannot be opened is one patient's loss and nobody else's: it is set aside, told, and the rest goes on.
package actor BaselineStore {
  private static let lockName = "lock"
  private static let lockWaitMilliseconds = 5000
  /// Of merges that lead on to others.
  private static let maximumSteps = 8

  private let thread: StorageThread
  package nonisolated var unownedExecutor: UnownedSerialExecutor { UnownedSerialExecutor(ordinary: thread) }

  private let directory: String
  private let keys: KeyRing
  private let maximumPatients: Int
  private let digests = OpenSSLDigests()
  private let cipher: PayloadCipher
  /// Files that were set aside since somebody asked.
  private var damaged = 0

  /// Makes the folder if the one above it is there.
  ///
  /// - Parameter maximumPatients: no more are taken; at most `StateFiles.maximumBaselinePatients`.
  package init(directory: String, keys: KeyRing, maximumPatients: Int) throws(BaselineError) {
    do throws(OutboxError) { thread = try StorageThread() } catch {
      throw .file(FileError(path: directory, reason: "\(error)"))
    }
    do throws(SealingError) { cipher = try PayloadCipher() } catch { throw .sealing(error) }
    self.directory = directory
    self.keys = keys
    self.maximumPatients = min(maximumPatients, StateFiles.maximumBaselinePatients)
    do throws(FileError) {
      try Folder.make(directory, mode: 0o700)
      let lock = try FileLock(directory + "/" + Self.lockName, waitMilliseconds: Self.lockWaitMilliseconds)
      defer { lock.release() }
      // What a power cut left of a file that was about to take its place.
      for name in try Folder.names(in: directory, maximumNames: StateFiles.maximumNames) where name.hasPrefix(".") {
        try BoundedFile.remove(directory + "/" + name)
      }
    } catch { throw .file(error) }
  }

  // MARK: - One patient

  /// The patient's earlier pictures of a view, oldest first.
  ///
  /// - Parameters:
  ///   - former: a reference that the same tag had; what is kept under it is kept under the present one from now on.
  ///   - session: the one under way.
  package func earlier(
    of patient: String, former: String? = nil, view: String, before session: RandomIdentifier?
  ) throws(BaselineError) -> [BaselineMaster] {
    if let former, former != patient, try exists(former) {
      try locked { () throws(BaselineError) in try rename(former, to: patient) }
    }
    return try resolved(patient)?.earlier(view: view, before: session) ?? []
  }

  /// Keeps a picture; returns when it is on disk.
  package func add(_ master: BaselineMaster, to patient: String) throws(BaselineError) {
    if let fault = master.fault { throw .tooLarge(reason: "the picture is not kept: \(fault)") }
    try locked { () throws(BaselineError) in
      var content = try resolved(patient) ?? PatientBaselines(patient: patient)
      content.add(master)
      try write(content)
    }
  }

  /// Erases what is kept of a patient, a file that was set aside included, and of a merge what came from there.
  ///
  /// - Returns: false when there was nothing.
  @discardableResult
  package func forget(_ patient: String) throws(BaselineError) -> Bool {
    try locked { () throws(BaselineError) in
      var found = false
      // A reference that was merged: its pictures lie with the other.
      if let target = try readableMergeTarget(of: patient), var content = try load(target) {
        found = !content.give { $0.takenAs == patient }.isEmpty
        if found { try write(content) }
      }
      for suffix in ["", BaselineFile.damagedSuffix] {
        let path = path(of: patient) + suffix
        if try onFile({ () throws(FileError) in try BoundedFile.erase(path) }) { found = true }
      }
      return found
    }
  }

  // MARK: - Corrections

  /// A session that was taken under somebody else's tag: its pictures become those of `patient`.
  ///
  /// - Returns: false when no picture of the session is kept.
  @discardableResult
  package func move(session: RandomIdentifier, to patient: String) throws(BaselineError) -> Bool {
    try locked { () throws(BaselineError) in
      let target = try resolved(patient)?.patient ?? patient
      var isFound = false
      for name in try names() {
        guard var content = try readable(name), content.masters.contains(where: { $0.sessionID == session }) else {
          continue
        }
        isFound = true
        if content.patient == target { continue }
        let given = content.give { $0.sessionID == session }
        // There first: a power cut leaves the session twice and not nowhere, and the same call again mends it.
        var other = try load(target) ?? PatientBaselines(patient: target)
        other.take(given.taken(as: patient))
        try write(other)
        try write(content)
      }
      return isFound
    }
  }

  /// A session that was withdrawn.
  ///
  /// - Returns: false when no picture of the session is kept.
  @discardableResult
  package func remove(session: RandomIdentifier) throws(BaselineError) -> Bool {
    try locked { () throws(BaselineError) in
      var isFound = false
      for name in try names() {
        guard var content = try readable(name), !content.give(where: { $0.sessionID == session }).isEmpty else {
          continue
        }
        isFound = true
        try write(content)
      }
      return isFound
    }
  }

  /// Two references are one person: what is kept of `other`, and what will be, is kept under `patient`.
  package func merge(_ other: String, into patient: String) throws(BaselineError) {
    try locked { () throws(BaselineError) in
      var content = try resolved(patient) ?? PatientBaselines(patient: patient)
      guard content.patient != other else { throw .merge(reason: "\(other) and \(patient) are one already") }
      let given = try load(other)
      guard given?.mergedInto == nil || given?.mergedInto == content.patient else {
        throw .merge(reason: "\(other) is merged into another patient; undo that first")
      }
      guard content.references.union(given?.references ?? []).union([other]).count <= PatientBaselines.maximumReferences
      else { throw .merge(reason: "at most \(PatientBaselines.maximumReferences) references can be one person") }
      content.take(given?.masters ?? [])
      try write(content)
      try write(.merged(other, into: content.patient))
    }
  }

  /// Two references are not one person after all: what was taken as `other` is `other`'s again.
  package func unmerge(_ other: String) throws(BaselineError) {
    try locked { () throws(BaselineError) in
      guard let target = try mergeTarget(of: other) else {
        throw .merge(reason: "\(other) is not merged into another patient")
      }
      var content = try load(target) ?? PatientBaselines(patient: target)
      var own = PatientBaselines(patient: other)
      // What is merged into `other` goes back with it: its tag leads there.
      var theirs: Set<String> = [other]
      for reference in content.references {
        if try leads(reference, through: other) { theirs.insert(reference) }
      }
      own.take(content.give { theirs.contains($0.takenAs) })
      try write(own)
      try write(content)
    }
  }

  // MARK: - All patients

  /// One patient of the list. `sessions` counts each once whatever its views.
  package struct Summary: Sendable, Equatable {
    package var patient: String
    package var mergedInto: String?
    package var sessions: Int
    package var pictures: [String: Int]
    package var newestUTCNanoseconds: Int64?
  }

  /// Everybody of whom something is kept, and what cannot be read.
  package func patients() throws(BaselineError) -> (patients: [Summary], problems: [String]) {
    var (found, problems): ([Summary], [String]) = ([], [])
    for name in try names() {
      do throws(BaselineError) {
        guard let content = try load(name: name) else { continue }
        found.append(
          Summary(
            patient: content.patient, mergedInto: content.mergedInto, sessions: content.sessions,
            pictures: Dictionary(content.masters.map { ($0.view, 1) }, uniquingKeysWith: +),
            newestUTCNanoseconds: content.masters.map(\.utcNanoseconds).max()))
      } catch {
        problems.append("\(error)")
      }
    }
    return (found.sorted { $0.patient < $1.patient }, problems)
  }

  /// How many files this store has set aside since it was asked last: each is a patient whose comparison begins anew.
  package func takeDamaged() -> Int {
    defer { damaged = 0 }
    return damaged
  }

  /// Files that lie under this key.
  package func count(keyID: Int64) throws(BaselineError) -> Int {
    var count = 0
    for name in try names() where try header(name)?.keyID == keyID { count += 1 }
    return count
  }

  /// Seals under the present key what lies under another that is loaded.
  ///
  /// - Returns: files that are left, whose key is not loaded or that are damaged.
  package func reseal() throws(BaselineError) -> Int {
    // Without another key there is nothing that could be sealed anew.
    guard keys.ids.count > 1 else { return 0 }
    return try locked { () throws(BaselineError) in
      var left = 0
      for name in try names() {
        guard let header = try header(name), header.keyID != keys.current.id else { continue }
        if let content = try readable(name) { try write(content) } else { left += 1 }
      }
      return left
    }
  }

  // MARK: - Files

  private func path(of patient: String) -> String { directory + "/" + BaselineFile.name(of: patient, digests) }

  private func onFile<Result>(_ body: () throws(FileError) -> Result) throws(BaselineError) -> Result {
    do throws(FileError) { return try body() } catch { throw .file(error) }
  }

  func locked<Result>(_ body: () throws(BaselineError) -> Result) throws(BaselineError) -> Result {
    let lock = try onFile { () throws(FileError) in
      try FileLock(directory + "/" + Self.lockName, waitMilliseconds: Self.lockWaitMilliseconds)
    }
    defer { lock.release() }
    return try body()
  }

  private func exists(_ patient: String) throws(BaselineError) -> Bool {
    let path = path(of: patient)
    return try onFile { () throws(FileError) in try BoundedFile.exists(path) }
  }

  /// Of all patients.
  func names() throws(BaselineError) -> [String] {
    try allNames().filter { $0.hasSuffix(BaselineFile.suffix) }
  }

  func allNames() throws(BaselineError) -> [String] {
    try onFile { () throws(FileError) in try Folder.names(in: directory, maximumNames: StateFiles.maximumNames) }
  }

  private func header(_ name: String) throws(BaselineError) -> (version: Int, keyID: Int64)? {
    let bytes = try onFile { () throws(FileError) in
      try BoundedFile.readIfThere(directory + "/" + name, maximumBytes: BaselineFile.maximumBytes)
    }
    return bytes.flatMap { BaselineFile.header(of: $0) }
  }

  func load(_ patient: String) throws(BaselineError) -> PatientBaselines? {
    try load(name: BaselineFile.name(of: patient, digests))
  }

  /// nil where nothing can be read of it; damage is set aside, what is newer or under another key is left alone.
  private func readable(_ name: String) throws(BaselineError) -> PatientBaselines? {
    do throws(BaselineError) { return try load(name: name) } catch {
      if case .file = error { throw error }
      return nil
    }
  }

  /// The same, nil too of a file that is damaged: it is set aside, and what comes takes its place.
  func undamaged(_ patient: String) throws(BaselineError) -> PatientBaselines? {
    do throws(BaselineError) { return try load(patient) } catch {
      guard case .damaged = error else { throw error }
      return nil
    }
  }

  /// What is damaged is set aside, counted and told.
  func load(name: String) throws(BaselineError) -> PatientBaselines? {
    // Another process may have put a whole file in its place meanwhile: looked at twice.
    do throws(BaselineError) { return try examined(name) } catch {
      guard case .damaged = error else { throw error }
    }
    do throws(BaselineError) { return try examined(name) } catch {
      if case .damaged(let path, _) = error {
        try onFile { () throws(FileError) in
          try BoundedFile.rename(path, to: path + BaselineFile.damagedSuffix)
          try Folder.synchronise(directory)
        }
        damaged += 1
      }
      throw error
    }
  }

  /// Reads and opens a file, and moves nothing.
  func examined(_ name: String) throws(BaselineError) -> PatientBaselines? {
    let path = directory + "/" + name
    let bytes: [UInt8]?
    do throws(FileError) {
      bytes = try BoundedFile.readIfThere(path, maximumBytes: BaselineFile.maximumBytes)
    } catch {
      // Not an error of a call: the file itself is none of ours.
      guard error.systemErrorNumber == 0 else { throw .file(error) }
      throw .damaged(path: path, reason: "it is no file, or larger than any of ours")
    }
    guard let bytes else { return nil }
    guard let header = BaselineFile.header(of: bytes) else {
      throw .damaged(path: path, reason: "it does not begin as ours do")
    }
    guard header.version <= BaselineFile.version else { throw .newer(path: path, version: header.version) }
    let plain: [UInt8]
    do throws(SealingError) {
      plain = try BaselineFile.open(bytes, name: name, cipher: cipher, key: keys.key(id: header.keyID))
    } catch {
      switch error {
      case .unknownKey(let id): throw .unknownKey(path: path, id: id)
      case .notAuthentic: throw .damaged(path: path, reason: "\(error)")
      case .library: throw .sealing(error)
      }
    }
    guard let content: PatientBaselines = BaselineFile.decoded(plain), content.fault == nil,
      BaselineFile.name(of: content.patient, digests) == name
    else { throw .damaged(path: path, reason: "its content is none of ours") }
    return content
  }

  func write(_ content: PatientBaselines) throws(BaselineError) {
    let name = BaselineFile.name(of: content.patient, digests)
    // Of whom nothing is kept any more, nothing lies there: no name in the list, and no place that another could have.
    guard !content.isEmpty else {
      let path = directory + "/" + name
      _ = try onFile { () throws(FileError) in try BoundedFile.erase(path) }
      return
    }
    if try !exists(content.patient) {
      let count = try names().count
      guard count < maximumPatients else { throw .full(patients: count) }
    }
    let plain: [UInt8]
    do { plain = try CanonicalJSON.bytes(of: content) } catch { throw .tooLarge(reason: "\(error)") }
    guard plain.count + 1024 <= BaselineFile.maximumBytes else {
      throw .tooLarge(reason: "not kept: \(plain.count) bytes")
    }
    let sealed: [UInt8]
    do throws(SealingError) {
      sealed = try BaselineFile.sealed(plain, name: name, cipher: cipher, key: keys.current)
    } catch { throw .sealing(error) }
    try onFile { () throws(FileError) in
      try BoundedFile.replace(directory + "/" + name, with: sealed, mode: 0o600)
    }
  }

  // MARK: - References

  /// Where the pictures of a merged reference are kept; nil of one that is not merged.
  func mergeTarget(of patient: String) throws(BaselineError) -> String? {
    var reference = patient
    for _ in 0..<Self.maximumSteps {
      guard let next = try load(reference)?.mergedInto else { return reference == patient ? nil : reference }
      reference = next
    }
    throw .merge(reason: "\(patient) is merged in a circle; forget it and merge again")
  }

  /// The same, nil of a file that nobody can read: it is to be forgotten all the same.
  private func readableMergeTarget(of patient: String) throws(BaselineError) -> String? {
    do throws(BaselineError) { return try mergeTarget(of: patient) } catch {
      if case .file = error { throw error }
      return nil
    }
  }

  /// Whether a merged reference comes to its pictures by way of another.
  private func leads(_ reference: String, through other: String) throws(BaselineError) -> Bool {
    var present = reference
    for _ in 0..<Self.maximumSteps {
      guard let next = try load(present)?.mergedInto else { return false }
      if next == other { return true }
      present = next
    }
    return false
  }

  /// What is kept of the patient, wherever that is.
  private func resolved(_ patient: String) throws(BaselineError) -> PatientBaselines? {
    guard let target = try mergeTarget(of: patient) else { return try load(patient) }
    return try load(target) ?? PatientBaselines(patient: target)
  }

  /// The same tag under its present reference.
  private func rename(_ former: String, to patient: String) throws(BaselineError) {
    guard let content = try load(former) else { return }
    // Where the person's pictures are: after a merge that is another reference's file, which may be the present one's.
    var home = try mergeTarget(of: patient)
    if home == nil { home = try mergeTarget(of: former) }
    let keeper = home ?? patient
    var own = try load(keeper) ?? PatientBaselines(patient: keeper)
    own.take(content.masters)
    let present = keeper == patient ? nil : try load(patient)
    own.take(present?.masters ?? [])
    own.retag(former, as: patient)
    try write(own)
    if keeper != patient, present?.mergedInto == nil { try write(.merged(patient, into: keeper)) }
    // References that were merged into the former one lead to where the pictures are from now on.
    for other in own.references where other != former && other != keeper && other != patient {
      if try load(other)?.mergedInto == former { try write(.merged(other, into: keeper)) }
    }
    let path = path(of: former)
    _ = try onFile { () throws(FileError) in try BoundedFile.erase(path) }
  }
}
