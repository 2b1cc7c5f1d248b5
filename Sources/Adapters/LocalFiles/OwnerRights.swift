import Glibc

/// Work of root in a folder of somebody else's.
package enum OwnerRights {
  /// Does `body` as the owner of `folder` when this process is root: what root wrote itself the owner could not replace, and
  /// the owner could have laid a link in its way. Anybody else, and root where there is no such folder, goes on as they are.
  package static func asOwner<Result>(of folder: String, _ body: () throws(FileError) -> Result) throws(FileError)
    -> Result
  {
    guard geteuid() == 0, let status = try BoundedFile.status(folder), status.owner != 0 else { return try body() }
    let group = getegid()
    try fileCall("setegid", on: folder) { setegid(status.group) }
    defer { giveBack(group: group) }
    try fileCall("seteuid", on: folder) { seteuid(status.owner) }
    return try body()
  }

  /// Without its rights back the program could not go on.
  private static func giveBack(group: UInt32) {
    if seteuid(0) != 0 || setegid(group) != 0 { exit(EXIT_FAILURE) }
  }
}
