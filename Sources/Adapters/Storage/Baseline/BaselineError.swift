import LocalFiles

/// Why the store of baselines did not do what was asked. Nothing was changed, except where it says so.
package enum BaselineError: Error, Sendable, Equatable, CustomStringConvertible {
  case file(FileError)
  /// Sealed under a key that is not loaded. The file is left as it is.
  case unknownKey(path: String, id: Int64)
  /// Of a later program. The file is left as it is.
  case newer(path: String, version: Int)
  /// Not what was written; it was set aside under the same name and `BaselineFile.damagedSuffix`.
  case damaged(path: String, reason: String)
  case full(patients: Int)
  case tooLarge(reason: String)
  /// A reference cannot be merged so.
  case merge(reason: String)
  /// A file from a stick is none of this site's.
  case foreign(path: String, reason: String)
  case sealing(SealingError)

  package var description: String {
    switch self {
    case .file(let error): "baselines: \(error)"
    case .unknownKey(let path, let id):
      "baselines \(path): sealed under key \(SealingKey.text(ofID: id)), which is not loaded; name it as "
        + "outbox.older_key_file, or remove what it sealed with `thermograph patient forget`"
    case .newer(let path, let version):
      "baselines \(path): layout \(version) is newer than this program's \(BaselineFile.version); install the program "
        + "that wrote it"
    case .damaged(let path, let reason):
      "baselines \(path): damaged (\(reason)); it was set aside, this patient's comparison begins anew; "
        + "`thermograph patient import` takes it back from an export"
    case .full(let patients):
      "baselines: \(patients) patients are kept, as many as change.patients_maximum allows; raise it, or remove some "
        + "with `thermograph patient forget`"
    case .tooLarge(let reason): "baselines: \(reason)"
    case .merge(let reason): "baselines: \(reason)"
    case .foreign(let path, let reason): "\(path): \(reason)"
    case .sealing(let error): "baselines: \(error)"
    }
  }
}
