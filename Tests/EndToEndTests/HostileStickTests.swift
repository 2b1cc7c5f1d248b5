import Foundation
import Glibc
import Testing

/// A stick that a stranger prepared, in the hands of a technician who is root: nothing beside it is read or written, and
/// nothing is installed that was not understood.
@Suite(.serialized) struct HostileStickTests {
  /// A stick, and a folder `victim` that stands for what belongs to root.
  private final class Scene {
    let workspace: Workspace
    var stick: String { workspace.folder + "/stick" }
    var victim: String { workspace.folder + "/victim" }
    var etc: String { workspace.folder + "/etc" }
    /// Stands for root's `authorized_keys`.
    var keys: String { victim + "/authorized_keys" }

    init() throws {
      workspace = try Workspace()
      for path in [stick, victim, etc] {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
      }
      try write("root's", to: keys)
    }

    func write(_ text: String, to path: String) throws { try Data(text.utf8).write(to: URL(filePath: path)) }

    func link(_ name: String, to target: String) throws {
      try FileManager.default.createSymbolicLink(atPath: stick + "/" + name, withDestinationPath: target)
    }

    func content(_ path: String) -> String? {
      FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Nothing of root's was changed, and nothing was added.
    func checkVictim(_ names: Set<String> = ["authorized_keys"], sourceLocation: SourceLocation = #_sourceLocation)
      throws
    {
      #expect(content(keys) == "root's", sourceLocation: sourceLocation)
      let found = Set(try FileManager.default.contentsOfDirectory(atPath: victim))
      #expect(found == names, sourceLocation: sourceLocation)
    }

    func run(_ arguments: String...) async throws -> (status: Int32, output: String, errors: String) {
      try await Program.run(arguments, in: workspace.folder, seconds: 20)
    }

    /// An import of the stick into `etc`. Root needs a user to own what belongs to the service.
    func importStick(_ folder: String? = nil) async throws -> (status: Int32, output: String, errors: String) {
      try await run("import", folder ?? stick, "--into", etc, "--owner", geteuid() == 0 ? "root" : "nobody")
    }

    func prepareImport() throws {
      try write(
        "schema = 1\n[device]\nid = \"d\"\nsite = \"s\"\n[paths]\nstate_directory = \"\(workspace.folder)/state\"\n",
        to: stick + "/thermograph.toml")
    }
  }

  private func authority(_ scene: Scene) async throws -> Authority { try await Authority(in: scene.workspace) }

  // MARK: import

  @Test func anImportReadsThroughNoLink() async throws {
    let scene = try Scene()
    let certificate = try await authority(scene).certificate("ca")
    for (name, target) in [("ca.pem", certificate), ("roster.csv", scene.keys), ("thermograph.toml", scene.keys)] {
      try? FileManager.default.removeItem(atPath: scene.stick)
      try FileManager.default.createDirectory(atPath: scene.stick, withIntermediateDirectories: true)
      if name != "thermograph.toml" { try scene.prepareImport() }
      try scene.link(name, to: target)
      let result = try await scene.importStick()
      #expect(result.status != 0, "\(name)")
      #expect(result.output.contains("\(name): REFUSED, a symbolic link"), "\(result.output)\(result.errors)")
      #expect(!result.output.contains("root's") && !result.errors.contains("root's"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: scene.etc) == [])
    }
    // A folder of drop-ins elsewhere, and the whole stick elsewhere.
    try scene.write("[log]\nlevel = \"debug\"\n", to: scene.victim + "/10-log.toml")
    try FileManager.default.removeItem(atPath: scene.stick + "/thermograph.toml")
    try scene.prepareImport()
    try scene.link("conf.d", to: scene.victim)
    let dropIns = try await scene.importStick()
    #expect(dropIns.status != 0 && dropIns.errors.contains("conf.d: a symbolic link is in the path"), "\(dropIns)")
    try FileManager.default.removeItem(atPath: scene.stick + "/conf.d")
    try FileManager.default.createSymbolicLink(
      atPath: scene.workspace.folder + "/other", withDestinationPath: scene.stick)
    let elsewhere = try await scene.importStick(scene.workspace.folder + "/other")
    #expect(elsewhere.status != 0 && elsewhere.errors.contains("other: a symbolic link is in the path"))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scene.etc) == [])
    // The same files without links are taken.
    #expect(try await scene.importStick().status == 0)
    try scene.checkVictim(["authorized_keys", "10-log.toml"])
  }

  @Test func theReportOfAnImportIsWrittenThroughNoLink() async throws {
    let scene = try Scene()
    try scene.prepareImport()
    for name in ["import-report.txt", "import-report.txt.tmp"] {
      unlink(scene.stick + "/" + name)
      try scene.link(name, to: scene.keys)
      // A name that no import knows is named, and keeps nothing from its place.
      let isKnown = name == "import-report.txt"
      #expect(try await scene.importStick().status == (isKnown ? 0 : 1))
      try scene.checkVictim()
      unlink(scene.stick + "/import-report.txt.tmp")
    }
    #expect(try await scene.importStick().status == 0)
    #expect(scene.content(scene.stick + "/import-report.txt")?.hasPrefix("Thermograph import: everything") == true)
  }

  @Test func pipesDevicesAndHardLinksAreRefusedWithoutWaiting() async throws {
    let scene = try Scene()
    let certificate = try await authority(scene).certificate("ca")
    var makers: [(String, () -> Int32)] = [
      ("pipe", { mkfifo(scene.stick + "/ca.pem", 0o600) }),
      ("hard link", { Glibc.link(certificate, scene.stick + "/ca.pem") }),
    ]
    if geteuid() == 0 { makers.append(("device", { mknod(scene.stick + "/ca.pem", S_IFCHR | 0o600, 1 << 8 | 5) })) }
    try scene.prepareImport()
    for (what, make) in makers {
      try #require(make() == 0, "\(what)")
      let result = try await scene.importStick()
      #expect(result.status != 0 && result.output.contains("ca.pem: REFUSED"), "\(what): \(result)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: scene.etc) == [], "\(what)")
      unlink(scene.stick + "/ca.pem")
    }
  }

  @Test func nothingIsInstalledThatWasNotUnderstood() async throws {
    let scene = try Scene()
    let certificate = try #require(scene.content(try await authority(scene).certificate("ca")))
    try scene.prepareImport()
    try scene.write(certificate, to: scene.stick + "/ca.pem")
    let good = try await scene.importStick()
    #expect(good.status == 0 && good.output.contains("ca.pem: installed"), "\(good)")
    try scene.write("[log]\nlevel = \"debug\"\n", to: scene.etc + "/before")
    let broken = certificate.replacing("MII", with: "AAA")
    for (name, content) in [
      ("ca.pem", "bad"), ("ca.pem", ""), ("ca.pem", broken), ("ca.pem", certificate + broken),
      ("ca.pem", String(certificate.dropLast(100))), ("site.key", "short"), ("roster.csv", "tag,name\nx,y\n"),
    ] {
      try scene.write(certificate, to: scene.stick + "/ca.pem")
      try scene.write(content, to: scene.stick + "/" + name)
      // What stands beside it waits too: a folder is installed as a whole.
      try FileManager.default.createDirectory(atPath: scene.stick + "/conf.d", withIntermediateDirectories: true)
      try scene.write("[log]\nlevel = \"debug\"\n", to: scene.stick + "/conf.d/10-log.toml")
      let result = try await scene.importStick()
      #expect(result.status != 0 && result.output.contains("\(name): REFUSED, "), "\(name): \(result)")
      #expect(result.output.contains("conf.d/10-log.toml: REFUSED, nothing is installed while"), "\(result)")
      #expect(scene.content(scene.etc + "/ca.pem") == certificate)
      #expect(!FileManager.default.fileExists(atPath: scene.etc + "/conf.d"))
      unlink(scene.stick + "/" + name)
    }
    try scene.write(certificate, to: scene.stick + "/ca.pem")
    #expect(try await scene.importStick().status == 0)
  }

  @Test func whatIsInstalledIsReadableByTheServiceWhateverTheMask() async throws {
    let scene = try Scene()
    try scene.prepareImport()
    let program = try Program(
      "/bin/sh",
      [
        "-c", "umask 077; exec \"$0\" import \"$1\" --into \"$2\" --owner root", Program.thermograph, scene.stick,
        scene.etc,
      ],
      in: scene.workspace.folder)
    guard geteuid() == 0 else { return }
    #expect(try await program.waitForExit(seconds: 20) == 0)
    let attributes = try FileManager.default.attributesOfItem(atPath: scene.etc + "/thermograph.toml")
    #expect(attributes[.posixPermissions] as? Int == 0o644)
  }

  @Test func aNameThatMovesTheTerminalIsShownWithoutIt() async throws {
    let scene = try Scene()
    try scene.prepareImport()
    try scene.write("x", to: scene.stick + "/\u{1B}[2J\u{7}evil.pem")
    let result = try await scene.importStick()
    #expect(result.status != 0 && result.output.contains("?[2J?evil.pem: REFUSED, its name has"), "\(result.output)")
    #expect(
      !result.output.contains("\u{1B}")
        && scene.content(scene.stick + "/import-report.txt")?.contains("\u{1B}") == false)
  }

  // MARK: enroll

  @Test func anEnrolmentWritesItsRequestThroughNoLink() async throws {
    let scene = try Scene()
    let path = try scene.workspace.configure(port: 1883, captures: 0)
    for name in ["request.csr", "provisioning.json"] {
      for link in [name, name + ".tmp"] {
        unlink(scene.stick + "/" + link)
        try scene.link(link, to: scene.keys)
        let result = try await scene.run("enroll", "--config", path, "--request", scene.stick)
        #expect(result.status == 0, "\(link): \(result.errors)")
        try scene.checkVictim()
        #expect(scene.content(scene.stick + "/request.csr")?.contains("CERTIFICATE REQUEST") == true)
      }
    }
    try scene.link("folder", to: scene.victim)
    let folder = try await scene.run("enroll", "--config", path, "--request", scene.stick + "/folder")
    #expect(folder.status == 1 && folder.errors.contains("folder: a symbolic link is in the path"), "\(folder)")
    try scene.checkVictim()
    // A pipe in the way is replaced, not written to.
    unlink(scene.stick + "/request.csr")
    #expect(mkfifo(scene.stick + "/request.csr", 0o600) == 0)
    #expect(try await scene.run("enroll", "--config", path, "--request", scene.stick).status == 0)
    #expect(scene.content(scene.stick + "/request.csr")?.contains("CERTIFICATE REQUEST") == true)
  }

  @Test func anEnrolmentInstallsOnlyWhatItReadFromAFile() async throws {
    let scene = try Scene()
    let path = try scene.workspace.configure(port: 1883, captures: 0)
    #expect(try await scene.run("enroll", "--config", path, "--request", scene.stick).status == 0)
    let authority = try await authority(scene)
    let signed = try await Program.run(
      [
        "x509", "-req", "-in", scene.stick + "/request.csr", "-CA", authority.certificate("ca"), "-CAkey",
        authority.key("ca"), "-CAcreateserial", "-days", "20", "-out", scene.workspace.folder + "/signed.pem",
      ], executable: "/usr/bin/openssl", in: scene.workspace.folder)
    try #require(signed.status == 0, "\(signed.errors)")
    let certificate = try #require(scene.content(scene.workspace.folder + "/signed.pem"))
    let root = try #require(scene.content(authority.certificate("ca")))
    func prepare() throws {
      for name in ["certificate.pem", "ca.pem", "issuer.pem"] { unlink(scene.stick + "/" + name) }
      try scene.write(certificate, to: scene.stick + "/certificate.pem")
      try scene.write(root, to: scene.stick + "/ca.pem")
      try scene.write(root, to: scene.stick + "/issuer.pem")
    }
    func install(_ more: String...) async throws -> (status: Int32, output: String, errors: String) {
      try await Program.run(
        ["enroll", "--config", path, "--install", scene.stick] + more, in: scene.workspace.folder, seconds: 20)
    }
    // The authority is installed beside the certificate: it must be one, whoever judged the certificate.
    for more in [[], ["--foreign-issuer"]] {
      try prepare()
      try scene.write("bad", to: scene.stick + "/ca.pem")
      let result = try await Program.run(
        ["enroll", "--config", path, "--install", scene.stick] + more, in: scene.workspace.folder, seconds: 20)
      #expect(
        result.status == 1 && result.errors.contains("ca.pem is not installed: holds no certificate"), "\(result)")
    }
    for name in ["certificate.pem", "ca.pem", "issuer.pem"] {
      for isLink in [true, false] {
        try prepare()
        unlink(scene.stick + "/" + name)
        if isLink {
          try scene.link(name, to: scene.workspace.folder + "/signed.pem")
        } else {
          #expect(mkfifo(scene.stick + "/" + name, 0o600) == 0)
        }
        let result = try await install()
        #expect(result.status == 1 && result.errors.contains("\(name): "), "\(name): \(result)")
        #expect(result.errors.contains(isLink ? "a symbolic link is in the path" : "is not a regular file"))
      }
    }
    for name in ["device.pem", "ca.pem"] {
      #expect(!FileManager.default.fileExists(atPath: scene.workspace.folder + "/" + name), "\(name) was installed")
    }
    try prepare()
    #expect(try await install().status == 0)
    #expect(scene.content(scene.workspace.folder + "/ca.pem") == root)
  }

  // MARK: outbox

  @Test func anExportIsSealedAndFollowsNoLink() async throws {
    let scene = try Scene()
    let configuration = try scene.workspace.configure(port: 1, captures: 1)
    let device = try Program(
      Program.thermograph, ["run", "--config", configuration, "--simulate"], in: scene.workspace.folder)
    try await device.waitForErrors(containing: "capture saved", seconds: 90)
    device.send(SIGTERM)
    #expect(try await device.waitForExit(seconds: 20) == 0, "\(device.errors)")
    func export(_ folder: String, _ more: String...) async throws -> (status: Int32, output: String, errors: String) {
      try await Program.run(
        ["outbox", "export", folder, "--config", configuration] + more, in: scene.workspace.folder, seconds: 20)
    }
    // In the clear only when that is said.
    let silent = try await export(scene.stick)
    #expect(silent.status != 0 && silent.errors.contains("say for whom to seal: --recipient"), "\(silent)")
    #expect(try FileManager.default.contentsOfDirectory(atPath: scene.stick) == [])
    let both = try await export(scene.stick, "--clear", "--recipient", "x.pem")
    #expect(both.status != 0 && both.errors.contains("say either"))
    #expect(try await export(scene.stick, "--clear").status == 0)
    let records = try FileManager.default.subpathsOfDirectory(atPath: scene.stick).filter {
      $0.hasSuffix("/record.json")
    }
    let capture = try #require(records.first?.split(separator: "/").first.map(String.init))
    #expect(scene.content(scene.stick + "/\(capture)/record.json")?.contains("thermograph.capture.") == true)

    // Files, temporary files and folders that are links; the folder itself.
    for name in ["\(capture)/record.json", "\(capture)/record.json.tmp", "\(capture)/master.png.tmp"] {
      unlink(scene.stick + "/" + name)
      try scene.link(name, to: scene.keys)
      #expect(try await export(scene.stick, "--clear").status == 0)
      try scene.checkVictim()
    }
    for name in ["messages", capture] {
      try FileManager.default.removeItem(atPath: scene.stick + "/" + name)
      try scene.link(name, to: scene.victim)
      let result = try await export(scene.stick, "--clear")
      #expect(result.status != 0 && result.errors.contains("\(name): a symbolic link is in the path"), "\(result)")
      try scene.checkVictim()
      unlink(scene.stick + "/" + name)
      #expect(mkfifo(scene.stick + "/" + name, 0o600) == 0)
      #expect(try await export(scene.stick, "--clear").status != 0)
      unlink(scene.stick + "/" + name)
    }
    try scene.link("folder", to: scene.victim)
    for folder in ["folder", "folder/../victim"] {
      #expect(try await export(scene.stick + "/" + folder, "--clear").status != 0)
    }
    try scene.checkVictim()

    // The recipient and the receipt come from a stick too.
    let certificate = try await authority(scene).certificate("ca")
    try scene.link("clinic.pem", to: certificate)
    let recipient = try await export(scene.stick, "--recipient", scene.stick + "/clinic.pem")
    #expect(recipient.status != 0 && recipient.errors.contains("clinic.pem: a symbolic link is in the path"))
    #expect(try await export(scene.stick, "--recipient", certificate).status == 0)
    try scene.link("receipt.json", to: scene.keys)
    #expect(mkfifo(scene.stick + "/pipe.json", 0o600) == 0)
    for (name, words) in [("receipt.json", "a symbolic link is in the path"), ("pipe.json", "is not a regular file")] {
      let receipt = try await scene.run("outbox", "import", scene.stick + "/" + name, "--config", configuration)
      #expect(receipt.status != 0 && receipt.errors.contains(words), "\(name): \(receipt)")
      #expect(!receipt.errors.contains("root's"))
    }
    // Nothing was freed by any of it.
    let list = try await scene.run("outbox", "verify", "--config", configuration)
    #expect(list.status == 0, "\(list.errors)")
  }
}
