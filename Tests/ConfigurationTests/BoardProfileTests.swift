import Configuration
import ConfigurationFiles
import Foundation
import Testing

@Suite struct BoardProfileTests {
  static let boards = [
    "generic", "raspberry-pi-3", "raspberry-pi-4", "raspberry-pi-5", "raspberry-pi-zero-2-w",
  ]

  @Test func everyShippedProfileIsListedHere() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Scratch.repository + "/Hardware/boards")
    #expect(files.sorted() == Self.boards.map { $0 + ".toml" })
  }

  @Test(arguments: boards) func profileGivesAUsableDevice(board: String) throws {
    let scratch = try Scratch()
    try scratch.write(
      "schema = 1\n[device]\nid = \"d\"\nsite = \"s\"\nboard = \"\(board)\"\n"
        + "[paths]\nhardware_directory = \"\(Scratch.repository)/Hardware\"\n")
    let reading = scratch.read()
    #expect(scratch.lines(reading.faults) == [])
    for key in ["camera.bus", "reader.device"] {
      guard case .boardProfile(let place) = reading.origins[key] else {
        Issue.record("\(board) does not set \(key)")
        continue
      }
      #expect(place.file.hasSuffix("/\(board).toml"))
    }
    if board != "generic" {
      // BCM2835 and its successors name their pin controllers after the chip; the Pi 5's header hangs on the RP1.
      let labels = ["raspberry-pi-4": "pinctrl-bcm2711", "raspberry-pi-5": "pinctrl-rp1"]
      #expect(reading.settings.pins.chip == labels[board] ?? "pinctrl-bcm2835")
      #expect(reading.settings.pins.button == .name("GPIO17"))
    }
  }
}
