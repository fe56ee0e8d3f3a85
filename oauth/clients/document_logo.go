package clients

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	_ "image/gif"  // decoders that image.Decode finds
	_ "image/jpeg" // by what the bytes say they are
	"image/png"
	"slices"
	"time"
)

const (
	maxLogo       = 256 << 10 // bytes fetched
	maxLogoSide   = 1024      // pixels decoded, on a side
	logoSide      = 88        // pixels shown twice as dense
	maxLogos      = 100
	logosAtOnce   = 2 // decoding one takes some megabytes for a moment
	logoMediaType = "image/png"
)

// Logo is a client's logo as we show it: decoded, scaled and encoded anew, so that nothing of the file that was fetched is left
// but its picture.
type Logo struct {
	Hash string // names these bytes in a URL
	PNG  []byte
}

// LogoOf returns the logo of a client of a known host, if it is here by now; else it is fetched for the next time, and nobody
// waits for it. Other clients have none: a picture persuades more than an address, and anybody can publish anybody's.
func (b *Book) LogoOf(client *Client) (Logo, bool) {
	key, ok := b.logoKey(client)
	if !ok {
		return Logo{}, false
	}
	d := b.documents
	have, failed := d.logos.look(key)
	now := d.now()
	if (!have.present || now.After(have.freshUntil)) && now.After(failed.until) {
		go func() {
			// The fetcher has a time limit of its own. What went wrong is kept as a failure: there is a letter in its place.
			_, _, _ = d.logos.get(context.Background(), key)
		}()
	}
	return have.value, have.present
}

// Logo returns a client's logo for its URL, fetching it if another node showed the page. Errors: *FetchError, or that of ctx.
func (b *Book) Logo(ctx context.Context, client *Client) (Logo, error) {
	key, ok := b.logoKey(client)
	if !ok {
		return Logo{}, errNoClient
	}
	logo, _, err := b.documents.logos.get(ctx, key)
	return logo, err
}

func (b *Book) logoKey(client *Client) (documentKey, bool) {
	if client.Document == nil || client.Document.LogoURI == "" {
		return documentKey{}, false
	}
	if _, known := b.documents.hosts.ByDocument(client.ID); !known {
		return documentKey{}, false
	}
	return documentKey{client.Document.LogoURI, b.loopback}, true
}

func (d *Documents) downloadLogo(ctx context.Context, key documentKey, _ bool) (Logo, time.Duration, error) {
	at, err := ParseDocumentURL(key.id, key.loopback)
	if err != nil {
		return Logo{}, 0, err
	}
	answer, err := d.obtain(ctx, key.id, at, wanted{
		known: true, limit: maxLogo, accept: "image/png, image/jpeg, image/gif", takes: isPicture, // only known hosts' are shown
	})
	if err != nil {
		return Logo{}, 0, err
	}
	select {
	case d.decoding <- struct{}{}:
		defer func() { <-d.decoding }()
	case <-ctx.Done():
		return Logo{}, 0, ctx.Err()
	}
	encoded, err := redraw(answer.body)
	if err != nil {
		return Logo{}, 0, &FetchError{Host: at.Hostname(), Reason: "answered with a picture we cannot use", cause: err}
	}
	sum := sha256.Sum256(encoded)
	return Logo{Hash: base64.RawURLEncoding.EncodeToString(sum[:16]), PNG: encoded}, answer.freshFor, nil
}

func isPicture(mediaType string) bool {
	return slices.Contains([]string{logoMediaType, "image/jpeg", "image/gif"}, mediaType)
}

// redraw decodes a picture and encodes it anew as a small square. Its size is read first: a few bytes can claim millions of pixels.
func redraw(raw []byte) ([]byte, error) {
	size, _, err := image.DecodeConfig(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	if size.Width < 1 || size.Height < 1 || size.Width > maxLogoSide || size.Height > maxLogoSide {
		return nil, errors.New("too many pixels")
	}
	picture, _, err := image.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := png.Encode(&out, fit(picture, logoSide)); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// fit draws a picture into the middle of a square with sides of n pixels, each the mean of what it covers.
func fit(src image.Image, n int) image.Image {
	from := src.Bounds()
	longest := max(from.Dx(), from.Dy())
	width, height := max(1, from.Dx()*n/longest), max(1, from.Dy()*n/longest)
	left, top := (n-width)/2, (n-height)/2
	out := image.NewNRGBA(image.Rect(0, 0, n, n))
	for y := range height {
		for x := range width {
			area := image.Rect(
				from.Min.X+x*from.Dx()/width, from.Min.Y+y*from.Dy()/height,
				from.Min.X+max(x*from.Dx()/width+1, (x+1)*from.Dx()/width), from.Min.Y+max(y*from.Dy()/height+1, (y+1)*from.Dy()/height),
			)
			out.Set(left+x, top+y, mean(src, area))
		}
	}
	return out
}

func mean(src image.Image, area image.Rectangle) color.Color {
	var r, g, b, a, count uint64
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			pr, pg, pb, pa := src.At(x, y).RGBA()
			r, g, b, a, count = r+uint64(pr), g+uint64(pg), b+uint64(pb), a+uint64(pa), count+1
		}
	}
	return color.RGBA64{R: uint16(r / count), G: uint16(g / count), B: uint16(b / count), A: uint16(a / count)}
}
