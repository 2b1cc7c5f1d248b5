import Foundation
import Glibc
import Testing

@testable import LocalFiles

/// A medium that a stranger prepared: what lies beside it must neither be read nor written through it.
@Suite struct HostileFolderTests {
  /// A folder with `stick`, the stranger's, and `victim`, which is not.
  private final class Scene {
    let folder = NSTemporaryDirectory() + "thermograph-hostile-\(UUID().uuidString)"
    var stick: String { folder + "/stick" }
    var victim: String { folder + "/victim" }
    var secret: String { victim + "/secret" }

    init() throws {
      for path in [stick + "/inside", victim] {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      }
      try Data("secret".utf8).write(to: URL(filePath: secret))
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func link(_ name: String, to target: String) throws {
      try FileManager.default.createSymbolicLink(atPath: stick + "/" + name, withDestinationPath: target)
    }

    func content(_ path: String) -> String? {
      FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }
  }

  enum Way: CaseIterable { case kernel, stepByStep }

  private static func open(_ path: String, _ way: Way) throws(FileError) -> OpenFolder {
    switch way {
    case .kernel: try OpenFolder(withoutLinks: path)
    case .stepByStep: try OpenFolder(stepByStep: path)
    }
  }

  @Test(arguments: Way.allCases)
  func aFolderIsOpenedOnlyWhereNoLinkLeadsToIt(way: Way) throws {
    let scene = try Scene()
    try scene.link("last", to: scene.victim)
    try scene.link("relative", to: "inside")
    try scene.link("round", to: "round")
    try FileManager.default.createDirectory(atPath: scene.victim + "/below", withIntermediateDirectories: true)
    for path in ["last", "last/", "last/below", "last/../victim", "relative", "round"] {
      let place = scene.stick + "/" + path
      let error = #expect(throws: FileError.self, "\(path)") { _ = try Self.open(place, way) }
      #expect(error?.systemErrorNumber == ELOOP, "\(path): \(error.map { "\($0)" } ?? "")")
      #expect(error?.description.hasPrefix(place + ": a symbolic link is in the path") == true)
    }
    for path in ["", "/", "/inside", "/inside/", "/inside/..", "/./inside"] {
      let folder = try Self.open(scene.stick + path, way)
      #expect(try folder.names(maximumNames: 10).count == (path.contains("inside") && !path.hasSuffix("..") ? 0 : 4))
    }
    #expect(throws: FileError.self) { _ = try Self.open(scene.stick + "/absent", way) }
    #expect(throws: FileError.self) { _ = try Self.open(scene.secret, way) }
    #expect(throws: FileError.self) { _ = try Self.open("", way) }
  }

  @Test func whatIsReadIsARegularFileWithOneName() throws {
    let scene = try Scene()
    try scene.link("absolute", to: scene.secret)
    try scene.link("relative", to: "../victim/secret")
    try scene.link("dangling", to: "nowhere")
    #expect(mkfifo(scene.stick + "/pipe", 0o600) == 0)
    #expect(Glibc.link(scene.secret, scene.stick + "/hard") == 0)
    let folder = try OpenFolder(withoutLinks: scene.stick)
    for (name, words) in [
      ("absolute", "a symbolic link is in the path"), ("relative", "a symbolic link is in the path"),
      ("dangling", "a symbolic link is in the path"), ("pipe", "is not a regular file"),
      ("inside", "is not a regular file"),
      ("hard", "has 2 names (hard links)"), ("absent", "file not found"), ("../victim/secret", "is no name of a file"),
      ("..", "is no name of a file"), (".", "is no name of a file"), ("", "is no name of a file"),
      ("inside/x", "is no name of a file"), ("a\0b", "is no name of a file"),
    ] {
      let error = #expect(throws: FileError.self, "\(name)") { try folder.read(name, maximumBytes: 100) }
      #expect(error?.reason.contains(words) == true, "\(name): \(error.map { "\($0)" } ?? "")")
    }
    #expect(try folder.readIfThere("absent", maximumBytes: 1) == nil)
    for path in [scene.stick + "/absolute", scene.stick + "/inside/../absolute"] {
      #expect(throws: FileError.self) { try BoundedFile.read(withoutLinks: path, maximumBytes: 100) }
    }
    try scene.link("way", to: scene.victim)
    #expect(throws: FileError.self) { try BoundedFile.read(withoutLinks: scene.stick + "/way/secret", maximumBytes: 9) }
    unlink(scene.stick + "/hard")
    #expect(
      try BoundedFile.read(
        withoutLinks: scene.secret.replacing("/victim/", with: "/victim/../victim/"), maximumBytes: 9
      ).count == 6)
  }

  @Test(.enabled(if: geteuid() == 0, "only root makes device nodes"))
  func aDeviceIsNotEvenOpened() throws {
    let scene = try Scene()
    // As /dev/zero.
    try #require(mknod(scene.stick + "/device", S_IFCHR | 0o600, makedev(1, 5)) == 0)
    let folder = try OpenFolder(withoutLinks: scene.stick)
    let error = #expect(throws: FileError.self) { try folder.read("device", maximumBytes: 100) }
    #expect(error?.reason == "is not a regular file; expected one")
  }

  @Test func whatIsWrittenTakesThePlaceOfALinkAndNeverFollowsIt() throws {
    let scene = try Scene()
    try scene.link("file", to: scene.secret)
    try scene.link("file.tmp", to: scene.secret)
    try scene.link(".file.tmp", to: scene.secret)
    #expect(Glibc.link(scene.secret, scene.stick + "/hard") == 0)
    #expect(mkfifo(scene.stick + "/pipe", 0o600) == 0)
    let folder = try OpenFolder(withoutLinks: scene.stick)
    for name in ["file", "hard", "pipe"] {
      try folder.replace(name, with: Array("new".utf8), mode: 0o600)
      #expect(scene.content(scene.stick + "/" + name) == "new")
      #expect(try folder.status(of: name)?.kind == .file)
    }
    #expect(scene.content(scene.secret) == "secret")
    let error = #expect(throws: FileError.self) { try folder.replace("inside", with: [1], mode: 0o600) }
    #expect(error?.description == "\(scene.stick)/inside: is a folder; expected a file (rename)")
    for name in ["../victim/secret", "..", "inside/x", ""] {
      #expect(throws: FileError.self) { try folder.replace(name, with: [1], mode: 0o600) }
    }
    #expect(try folder.names(maximumNames: 10).allSatisfy { !$0.hasPrefix(".thermograph-") })
  }

  @Test func theTemporaryNameIsUnknownBeforeAndNeverOneThatWasThere() throws {
    #expect(Set((0..<1000).map { _ in OpenFolder.temporaryName() }).count == 1000)
    let scene = try Scene()
    try scene.link("link", to: scene.victim + "/made")
    try scene.link("other", to: scene.secret)
    #expect(mkfifo(scene.stick + "/pipe", 0o600) == 0)
    let folder = try OpenFolder(withoutLinks: scene.stick)
    for known in ["link", "other", "pipe", "inside"] {
      let error = #expect(throws: FileError.self, "\(known)") {
        try folder.replace("file", with: [1], mode: 0o600, isModeExact: false, isDurable: true, temporary: known)
      }
      #expect(error?.isThereAlready == true)
      #expect(try folder.status(of: known) != nil, "what had the name is gone")
    }
    #expect(scene.content(scene.victim + "/made") == nil && scene.content(scene.secret) == "secret")
  }

  @Test func foldersWithinAreNeverLinks() throws {
    let scene = try Scene()
    try scene.link("way", to: scene.victim)
    try Data().write(to: URL(filePath: scene.stick + "/file"))
    let folder = try OpenFolder(withoutLinks: scene.stick)
    for name in ["way", "file", "..", "a/b"] {
      #expect(throws: FileError.self, "\(name)") { _ = try folder.makeFolder(name, mode: 0o700) }
      #expect(throws: FileError.self, "\(name)") { _ = try folder.folder(name) }
    }
    try folder.makeFolder("made", mode: 0o700).replace("file", with: [7], mode: 0o600)
    try folder.makeFolder("made", mode: 0o700).replace("file", with: [8], mode: 0o600)
    #expect(try BoundedFile.read(scene.stick + "/made/file", maximumBytes: 1) == [8])
    let isThere = try folder.folder("absent") != nil
    #expect(!isThere)
  }

  /// The folder is held, so that a link that takes its place later leads nobody astray.
  @Test func aFolderThatIsExchangedForALinkIsStillTheSame() throws {
    let scene = try Scene()
    let folder = try OpenFolder(withoutLinks: scene.stick + "/inside")
    try FileManager.default.moveItem(atPath: scene.stick + "/inside", toPath: scene.stick + "/moved")
    try scene.link("inside", to: scene.victim)
    try folder.replace("secret", with: Array("new".utf8), mode: 0o600)
    #expect(scene.content(scene.secret) == "secret" && scene.content(scene.stick + "/moved/secret") == "new")
  }

  @Test func aFileThatChangesWhileItIsReadIsRefused() throws {
    let scene = try Scene()
    let path = scene.stick + "/file"
    let content = [UInt8](repeating: 1, count: 5000)
    let changes: [(String, () -> Void)] = [
      ("grows", { append(path, [2]) }), ("shrinks", { truncate(path, 100) }), ("vanishes", { truncate(path, 0) }),
      ("another owner's mode", { chmod(path, 0o606) }), ("gets a second name", { Glibc.link(path, path + "2") }),
    ]
    for (what, change) in changes {
      unlink(path + "2")
      try BoundedFile.replace(path, with: content)
      let file = try OpenFile(path)
      let error = #expect(throws: FileError.self, "\(what)") { try file.read(maximumBytes: 10_000, meanwhile: change) }
      #expect(error?.description == "\(path): changed while it was read; try again")
    }
    #expect(try OpenFile(path).read(maximumBytes: 5000) == content)
    #expect(throws: FileError.self) { try OpenFile(path).read(maximumBytes: 4999) }
  }

  /// The service replaces its files while a tool reads them.
  @Test func aFileThatIsReplacedWhileItIsReadIsReadAnew() throws {
    let scene = try Scene()
    let path = scene.stick + "/file"
    for changes in [1, BoundedFile.maximumReads - 1, BoundedFile.maximumReads] {
      try BoundedFile.replace(path, with: Array("0".utf8))
      var reads = 0
      let result = Result { () throws(FileError) in
        try BoundedFile.read(path, maximumBytes: 10) {
          reads += 1
          guard reads <= changes else { return }
          do { try BoundedFile.replace(path, with: Array("\(reads)".utf8)) } catch { Issue.record(error) }
        }
      }
      if changes < BoundedFile.maximumReads {
        #expect(try result.get() == Array("\(changes)".utf8) && reads == changes + 1)
      } else {
        // Somebody who never stops is told, and not waited for.
        #expect(throws: FileError.self) { try result.get() }
        #expect(reads == BoundedFile.maximumReads)
      }
    }
    #expect(try BoundedFile.readIfThere(path + "-none", maximumBytes: 10) == nil)
  }

  @Test func theModeIsExactWhereTheMaskMustNotCount() throws {
    let scene = try Scene()
    let before = umask(0o077)
    defer { umask(before) }
    try BoundedFile.replace(scene.stick + "/exact", with: [1], mode: 0o644, isModeExact: true)
    #expect(try BoundedFile.status(scene.stick + "/exact")?.permissions == 0o644)
  }
}

private func append(_ path: String, _ bytes: [UInt8]) {
  let stream = fopen(path, "a")
  if let stream {
    fwrite(bytes, 1, bytes.count, stream)
    fclose(stream)
  }
}

private func makedev(_ major: UInt64, _ minor: UInt64) -> dev_t { dev_t(major << 8 | minor) }
