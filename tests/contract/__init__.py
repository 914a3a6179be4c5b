"""One suite for every vendor, and the vendors' own documents and SDKs as a check on all of it."""
