# ruff: noqa: F821 - test_scripts.py defines STEPS
"""A sequence turned round by an encoder and a decoder with attention, padding masked out."""

import microgradnet as torch
import microgradnet.nn as nn
import microgradnet.nn.functional as F
from microgradnet import optim
from microgradnet.nn.utils.rnn import pad_sequence

torch.manual_seed(9)
PAD, SOS, EOS, TOKENS = 0, 1, 2, 10
report = []


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.embedding = nn.Embedding(input_size, hidden_size, padding_idx=PAD)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)

    def forward(self, input):
        return self.gru(self.embedding(input))


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys, mask):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys)))
        scores = scores.squeeze(2).unsqueeze(1).masked_fill(mask.unsqueeze(1), float("-inf"))
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size):
        super().__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, encoder_outputs, encoder_hidden, mask, target_tensor=None, length=6):
        batch_size = encoder_outputs.size(0)
        decoder_input = torch.empty(batch_size, 1, dtype=torch.long).fill_(SOS)
        decoder_hidden = encoder_hidden
        decoder_outputs, attentions = [], []
        for i in range(target_tensor.size(1) if target_tensor is not None else length):
            query = decoder_hidden.permute(1, 0, 2)
            context, attn_weights = self.attention(query, encoder_outputs, mask)
            input_gru = torch.cat((self.embedding(decoder_input), context), dim=2)
            output, decoder_hidden = self.gru(input_gru, decoder_hidden)
            decoder_output = self.out(output)
            decoder_outputs.append(decoder_output)
            attentions.append(attn_weights)
            if target_tensor is not None:
                decoder_input = target_tensor[:, i].unsqueeze(1)
            else:
                _, topi = decoder_output.topk(1)
                decoder_input = topi.squeeze(-1).detach()
        return F.log_softmax(torch.cat(decoder_outputs, dim=1), dim=-1), decoder_hidden, torch.cat(attentions, dim=1)


def batch(size=8):
    lengths = torch.randint(2, 6, (size,)).tolist()
    sources = [torch.randint(3, TOKENS, (n,)) for n in lengths]
    targets = [torch.cat([s.flip(0), torch.LongTensor([EOS])]) for s in sources]
    return pad_sequence(sources, batch_first=True), pad_sequence(targets, batch_first=True, padding_value=PAD)


encoder, decoder = EncoderRNN(TOKENS, 16), AttnDecoderRNN(16, TOKENS)
encoder_optimizer = optim.Adam(encoder.parameters(), lr=0.01)
decoder_optimizer = optim.Adam(decoder.parameters(), lr=0.01)
criterion = nn.NLLLoss(ignore_index=PAD)
for step in range(STEPS):
    input_tensor, target_tensor = batch()
    encoder_optimizer.zero_grad()
    decoder_optimizer.zero_grad()
    encoder_outputs, encoder_hidden = encoder(input_tensor)
    decoder_outputs, _, _ = decoder(encoder_outputs, encoder_hidden, input_tensor == PAD, target_tensor)
    loss = criterion(decoder_outputs.view(-1, decoder_outputs.size(-1)), target_tensor.view(-1))
    loss.backward()
    encoder_optimizer.step()
    decoder_optimizer.step()
    report.append(loss.item())
with torch.no_grad():
    input_tensor, target_tensor = batch(2)
    outputs, hidden, attention = decoder(*encoder(input_tensor), input_tensor == PAD)
    report.append(outputs.max(-1).values.sum().item())
    report.append(attention.max().item())
