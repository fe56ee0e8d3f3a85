package clients

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"
)

func picture(w, h int, c color.Color) image.Image {
	m := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.Transparent, c})
	for y := range h {
		for x := range w {
			m.SetColorIndex(x, y, 1)
		}
	}
	return m
}

func encoded(t *testing.T, encode func(*bytes.Buffer) error) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := encode(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRedraw_LeavesNothingButThePicture(t *testing.T) {
	t.Parallel()
	red := color.NRGBA{R: 255, A: 255}
	for name, raw := range map[string][]byte{
		"png":  encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture(300, 150, red)) }),
		"jpeg": encoded(t, func(b *bytes.Buffer) error { return jpeg.Encode(b, picture(300, 150, red), nil) }),
		"gif":  encoded(t, func(b *bytes.Buffer) error { return gif.Encode(b, picture(300, 150, red), nil) }),
		"tiny": encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture(2, 1, red)) }),
		"trailing script": append(encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture(300, 150, red)) }),
			"<script>alert(1)</script>"...),
	} {
		out, err := redraw(raw)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m, err := png.Decode(bytes.NewReader(out))
		if err != nil || m.Bounds() != image.Rect(0, 0, logoSide, logoSide) || bytes.Contains(out, []byte("script")) {
			t.Errorf("%s: %v %v", name, m, err)
			continue
		}
		r, _, _, a := m.At(logoSide/2, logoSide/2).RGBA()
		_, _, _, outside := m.At(logoSide/2, 2).RGBA()
		if r < 0xf000 || a != 0xffff || outside != 0 {
			t.Errorf("%s: the middle is %x of red, above it %x", name, r, outside)
		}
	}
}

func TestRedraw_RefusesWhatIsNoLogo(t *testing.T) {
	t.Parallel()
	good := encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture(10, 10, color.Black)) })
	for name, raw := range map[string][]byte{
		"nothing": nil, "text": []byte("<svg onload=alert(1)>"), "cut off": good[:len(good)/2], "bomb": claiming(good, 60000, 60000),
		"too wide": encoded(t, func(b *bytes.Buffer) error { return png.Encode(b, picture(maxLogoSide+1, 1, color.Black)) }),
	} {
		if out, err := redraw(raw); err == nil {
			t.Errorf("%s: %d bytes", name, len(out))
		}
	}
}

// claiming is a PNG whose header says it has more pixels than its file.
func claiming(raw []byte, w, h uint32) []byte {
	out := bytes.Clone(raw)
	binary.BigEndian.PutUint32(out[16:], w)
	binary.BigEndian.PutUint32(out[20:], h)
	binary.BigEndian.PutUint32(out[29:], crc32.ChecksumIEEE(out[12:29]))
	return out
}
