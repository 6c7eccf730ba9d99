# Filled in by scripts/release: $VERSION, $REVISION. Built from source, because a YubiKey on
# macOS needs cgo and the archives for macOS are made without it.
class FleetHsm < Formula
  desc "TUF signing tool for update servers of Fleet's agents"
  homepage "https://github.com/fleet-hsm/fleet-hsm"
  url "https://github.com/fleet-hsm/fleet-hsm.git", tag: "v$VERSION", revision: "$REVISION"
  license "Apache-2.0"

  depends_on "go" => :build
  on_linux do
    depends_on "pkg-config" => :build
    depends_on "pcsc-lite"
  end

  def install
    ENV["CGO_ENABLED"] = "1"
    system "go", "build", "-buildvcs=true", "-trimpath", "-ldflags", "-s -w", "-o", bin/"fleet-hsm", "./cmd/fleet-hsm"
    system bin/"fleet-hsm", "man", man1
    generate_completions_from_executable(bin/"fleet-hsm", "completion")
  end

  test do
    assert_match "v$VERSION", shell_output("#{bin}/fleet-hsm version")
    system bin/"fleet-hsm", "--path", testpath/"updates", "init", "--dry-run"
  end
end
