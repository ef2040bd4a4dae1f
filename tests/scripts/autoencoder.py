# ruff: noqa: F821 - test_scripts.py defines ROOT and STEPS
"""Digits through a bottleneck and back, by convolutions and their transposes."""

import microgradnet as torch
from microgradnet import nn
from microgradnet.utils.data import DataLoader, random_split
from microgradnet.vision import datasets, transforms

torch.manual_seed(6)
torch.set_num_threads(torch.get_num_threads())
data = datasets.MNIST(ROOT, train=True, transform=transforms.ToTensor())
train_data, val_data = random_split(data, [len(data) - 16, 16])
train_loader = DataLoader(train_data, batch_size=8, shuffle=True, drop_last=True)
valid_loader = DataLoader(val_data, batch_size=8)


class Encoder(nn.Module):
    def __init__(self, encoded_space_dim: int) -> None:
        super().__init__()
        self.encoder_cnn = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.ReLU(True),
            nn.Conv2d(4, 8, 3, stride=2, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(True),
        )
        self.flatten = nn.Flatten(start_dim=1)
        self.lin = nn.Linear(8 * 7 * 7, encoded_space_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.lin(self.flatten(self.encoder_cnn(x)))


class Decoder(nn.Module):
    def __init__(self, encoded_space_dim: int) -> None:
        super().__init__()
        self.lin = nn.Sequential(nn.Linear(encoded_space_dim, 8 * 7 * 7), nn.ReLU(True))
        self.unflatten = nn.Unflatten(dim=1, unflattened_size=(8, 7, 7))
        self.conv = nn.Sequential(
            nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(True),
            nn.ConvTranspose2d(4, 1, 3, stride=2, padding=1, output_padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.conv(self.unflatten(self.lin(x))))


encoder, decoder = Encoder(4), Decoder(4)
model = torch.compile(nn.ModuleDict({"encoder": encoder, "decoder": decoder}), disable=True)
optim = torch.optim.Adam([{"params": encoder.parameters()}, {"params": decoder.parameters(), "lr": 2e-3}], lr=1e-3,
                         weight_decay=1e-5)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optim, "min", patience=0, factor=0.5)
loss_fn = torch.nn.MSELoss()
report = []
while len(report) < STEPS:
    encoder.train()
    decoder.train()
    for image_batch, _ in train_loader:
        noisy = (image_batch + 0.1 * torch.randn_like(image_batch)).clip(0.0, 1.0)
        loss = loss_fn(decoder(encoder(noisy)), image_batch)
        optim.zero_grad()
        loss.backward()
        optim.step()
        report.append(loss.detach().cpu().numpy().item())
    encoder.eval()
    decoder.eval()
    with torch.inference_mode():
        conc_out = torch.cat([decoder(encoder(x)).cpu() for x, _ in valid_loader])
        conc_label = torch.cat([x.cpu() for x, _ in valid_loader])
        val_loss = loss_fn(conc_out, conc_label)
    scheduler.step(val_loss)
    report.append(val_loss.item())
    print(f"val loss {val_loss:.4f}, lr {optim.param_groups[0]['lr']:.1e}")
