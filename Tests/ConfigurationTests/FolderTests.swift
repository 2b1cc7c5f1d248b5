import Configuration
import ConfigurationFiles
import Foundation
import Testing

@Suite struct FolderTests {
  @Test func missingFileIsOneLine() throws {
    let scratch = try Scratch()
    #expect(
      scratch.lines(scratch.read().faults) == [
        "thermograph.toml: does not exist; expected a configuration there: start from "
          + "/usr/share/doc/thermograph/examples/thermograph.toml, or name a file with --config"
      ])
  }

  @Test func directoryPipeAndForbiddenFileAreOneLineEach() throws {
    let scratch = try Scratch()
    #expect(
      ConfigurationFolder(mainFile: scratch.folder).read().faults.map(\.description) == [
        "\(scratch.folder): is not a regular file; expected a TOML file of at most 262144 bytes"
      ])
    let pipe = scratch.folder + "/pipe"
    try #require(mkfifo(pipe, 0o600) == 0)
    #expect(
      ConfigurationFolder(mainFile: pipe).read().faults.map(\.description) == [
        "\(pipe): is not a regular file; expected a TOML file of at most 262144 bytes"
      ])
    // Root reads everything.
    if geteuid() != 0 {
      let path = try scratch.write(identity, mode: 0)
      #expect(
        ConfigurationFolder(mainFile: path).read().faults.map(\.description) == [
          "\(path): may not be read by this user; expected it readable by the user who runs this: chmod 644, or "
            + "run as root"
        ])
    }
  }

  @Test func dropInsOverrideInTheOrderOfTheirNames() throws {
    let scratch = try Scratch()
    let main = try scratch.write(
      identity + "[camera]\nemissivity = 0.9\nframes_averaged = 4\n[log]\nlevel = \"debug\"\n")
    let late = try scratch.write("[camera]\nemissivity = 0.97\n", to: "conf.d/20-b.toml")
    try scratch.write("[camera]\nemissivity = 0.96\n[log]\nlevel = \"error\"\n", to: "conf.d/10-a.toml")
    try scratch.write("not toml", to: "conf.d/30-c.toml.bak")
    try scratch.write("not toml", to: "conf.d/.hidden.toml")
    let reading = scratch.read()
    #expect(scratch.lines(reading.faults) == [])
    #expect(reading.settings.camera.emissivity == 0.97)
    #expect(reading.settings.camera.framesAveraged == 4)
    #expect(reading.settings.log.level == .error)
    #expect(reading.origins["camera.emissivity"] == .file(SourcePlace(file: late, line: 2, column: 1)))
    #expect(reading.origins["camera.frames_averaged"] == .file(SourcePlace(file: main, line: 7, column: 1)))
    #expect(
      reading.files.map { String($0.dropFirst(scratch.folder.count + 1)) } == [
        "thermograph.toml", "conf.d/10-a.toml", "conf.d/20-b.toml",
      ])
  }

  @Test func faultsOfAllFilesTogether() throws {
    let scratch = try Scratch()
    try scratch.write("schema = 1\n[device]\nid = \"D\"\n")
    try scratch.write("[log]\nlevel = 3\n", to: "conf.d/10-a.toml")
    try scratch.write("[lgo]\n", to: "conf.d/20-b.toml")
    try scratch.write("a =\n", to: "conf.d/30-c.toml")
    #expect(
      scratch.lines(scratch.read().faults).map { String($0.prefix { $0 != ";" }) } == [
        "thermograph.toml:3:6: device.id is \"D\"",
        "conf.d/10-a.toml:2:9: log.level is 3",
        "conf.d/20-b.toml:1:2: unknown table [lgo]",
        "conf.d/30-c.toml:1:4: not TOML: in a key-value pair: the line ends",
      ])
  }

  @Test func boardProfileIsUnderTheFiles() throws {
    let scratch = try Scratch()
    let profile = try scratch.write(
      "schema = 1\n[profile]\nname = \"Test board\"\n[camera]\nbus = \"/dev/i2c-7\"\n[lines]\nchip = \"c\"\nled = 3\n",
      to: "hardware/boards/test.toml")
    let main = try scratch.write(
      "schema = 1\n[device]\nid = \"d\"\nsite = \"s\"\nboard = \"test\"\n"
        + "[paths]\nhardware_directory = \"\(scratch.folder)/hardware\"\n[lines]\nled = 5\n")
    let reading = scratch.read()
    #expect(scratch.lines(reading.faults) == [])
    #expect(reading.settings.camera.bus == "/dev/i2c-7")
    #expect(reading.origins["camera.bus"] == .boardProfile(SourcePlace(file: profile, line: 5, column: 1)))
    #expect(reading.settings.pins.led == .offset(5))
    #expect(reading.origins["lines.led"] == .file(SourcePlace(file: main, line: 9, column: 1)))
    #expect(reading.files.first == profile)

    try scratch.write("[camera]\nemissivity = 0.9\nbuss = 1\n", to: "hardware/boards/test.toml")
    #expect(
      scratch.lines(scratch.read().faults) == [
        "hardware/boards/test.toml:2:1: camera.emissivity does not belong into a board profile; expected it in "
          + "thermograph.toml",
        "hardware/boards/test.toml:3:1: unknown key camera.buss; expected a key of [camera]; did you "
          + "mean \"bus\"?",
        "thermograph.toml:9:1: lines has an offset and no chip to count it on; expected chip in [lines], or the line's "
          + "name",
      ])
  }

  @Test func unknownBoardIsAnsweredWithTheKnownOnes() throws {
    let scratch = try Scratch()
    try scratch.write("", to: "hardware/boards/pi-4.toml")
    try scratch.write("", to: "hardware/boards/pi-5.toml")
    let file = { (board: String) in
      "schema = 1\n[device]\nid = \"d\"\nsite = \"s\"\nboard = \"\(board)\"\n"
        + "[paths]\nhardware_directory = \"\(scratch.folder)/hardware\"\n"
    }
    #expect(
      try scratch.faults(of: file("pi4")) == [
        "thermograph.toml:5:1: device.board is \"pi4\", and hardware/boards has no such profile; expected \"pi-4\" or "
          + "\"pi-5\"; did you mean \"pi-4\"?"
      ])
    #expect(try scratch.faults(of: file("../boards/pi-4")).count == 1)
  }

  @Test(arguments: ["broker.key_file", "outbox.key_file", "patients.site_key_file", "patients.roster_file"])
  func privateFilesThatOthersMayRead(key: String) throws {
    let scratch = try Scratch()
    let secret = try scratch.write("x", to: "secret", mode: 0o640)
    let parts = key.split(separator: ".")
    let text = "\(identity)[\(parts[0])]\n\(parts[1]) = \"\(secret)\"\n"
    #expect(
      try scratch.faults(of: text).contains(
        "thermograph.toml:6:1: \(key): secret is open to others, mode 0640; expected mode 0600: chmod 600 secret"))
    try scratch.write("x", to: "secret", mode: 0o400)
    #expect(try !scratch.faults(of: text).contains { $0.contains("open to others") })
  }
}
